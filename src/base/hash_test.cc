#include "base/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <limits>
#include <random>
#include <string>
#include <unordered_set>

namespace scalio {
namespace {

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

// Stores on disk depend on these values: they must never change.
TEST(Hash, IsTheOneThatStoresAreWrittenWith) {
  EXPECT_EQ(hash_key("", 0), 0x2d06800538d394c2u);
  EXPECT_EQ(hash_key("key", 0), 0xbbea0d63a05165e3u);
  EXPECT_EQ(hash_key("key", 1), 0xc37033bf42105f2u);
  EXPECT_EQ(checksum(as_bytes("key"), 1), 0xc37033bf42105f2u);
}

TEST(Hash, DependsOnSeedAndOnEveryByte) {
  const std::string key(255, 'k');
  EXPECT_NE(hash_key(key, 1), hash_key(key, 2));
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string other = key;
    other[i] ^= 1;
    EXPECT_NE(hash_key(key, 1), hash_key(other, 1)) << i;
  }
}

TEST(Checksum, FailsForAFlippedBitAndForAnotherPlace) {
  Bytes bytes(128, std::byte{7});
  const std::uint64_t sum = checksum(bytes, 1);
  EXPECT_NE(sum, checksum(bytes, 2));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
    EXPECT_NE(sum, checksum(bytes, 1)) << bit;
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
  }
}

TEST(Mix, IsInjectiveAndSpreadsEveryBit) {
  std::unordered_set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 100'000; ++i) EXPECT_TRUE(seen.insert(mix(i)).second) << i;

  // One input bit turns about half of the output bits.
  std::mt19937_64 random(1);
  for (unsigned bit = 0; bit < 64; ++bit) {
    int turned = 0;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t x = random();
      turned += std::popcount(mix(x) ^ mix(x ^ std::uint64_t{1} << bit));
    }
    EXPECT_GT(turned, 1000 * 24) << bit;
    EXPECT_LT(turned, 1000 * 40) << bit;
  }
}

TEST(Scale, StaysInRangeAndKeepsOrder) {
  EXPECT_EQ(scale(0, 10), 0u);
  EXPECT_EQ(scale(kLargest, 10), 9u);
  EXPECT_EQ(scale(kLargest, 1), 0u);
  EXPECT_EQ(scale(kLargest, kLargest), kLargest - 1);
  EXPECT_EQ(scale(std::uint64_t{1} << 63, 10), 5u);

  std::uint64_t last = 0;
  for (std::uint64_t hash = 0; hash < kLargest - kLargest / 1000; hash += kLargest / 1000) {
    EXPECT_GE(scale(hash, 77), last);
    last = scale(hash, 77);
  }
}

TEST(Scale, IsUniform) {
  constexpr std::uint64_t kKeys = 100'000, kPlaces = 10;
  std::array<std::uint64_t, kPlaces> counts{};
  for (std::uint64_t i = 0; i < kKeys; ++i)
    ++counts[scale(hash_key(std::to_string(i), 1), kPlaces)];
  // A place's count is binomial: mean 10,000, standard deviation 95.
  for (std::uint64_t n : counts) {
    EXPECT_GT(n, 9'500u);
    EXPECT_LT(n, 10'500u);
  }
}

}  // namespace
}  // namespace scalio
