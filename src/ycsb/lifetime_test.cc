#include "ycsb/lifetime.h"

#include <gtest/gtest.h>

#include <limits>

namespace scalio::ycsb {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000, kTtl = 64 * kSecond;

// The store's time goes on a second ahead after each restart, and is slewed on besides.
TEST(Lifetime, AllowsForRestarts) {
  const Lifetime life = lifetime_of(kTtl, 10 * kSecond, 11 * kSecond);
  EXPECT_LE(life.least, 10 * kSecond + kTtl - kRestarts * kSecond - kSecond);
  EXPECT_GE(life.most, 11 * kSecond + kTtl + kRestarts * kSecond + kSecond);
  // And tells something.
  EXPECT_GT(life.least, 10 * kSecond + kTtl / 2);
  EXPECT_LT(life.most, 11 * kSecond + 2 * kTtl);
}

TEST(Lifetime, AShortOneBeginsWithTheCall) {
  const Lifetime life = lifetime_of(kSecond, 10 * kSecond, 11 * kSecond);
  EXPECT_EQ(life.least, 10 * kSecond);
  EXPECT_GE(life.most, 11 * kSecond + kSecond);
}

TEST(Lifetime, TheLongestFitsTheHistory) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(lifetime_of(kMost, kSecond, 2 * kSecond).most, kMost);
}

}  // namespace
}  // namespace scalio::ycsb
