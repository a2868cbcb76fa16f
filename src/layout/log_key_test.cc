#include "layout/log_key.h"

#include <gtest/gtest.h>

#include <set>

#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

StoreKey counted_key() {
  StoreKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  return key;
}
std::string hex_of(const Mac& m) { return hex(std::as_bytes(std::span(m))); }

// The vectors that the function's authors publish: the key 00 01 .. 0f, and so many bytes 00 01 ..
TEST(LogKey, MacsAreSipHashes) {
  Mac key{};
  Bytes bytes;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(hex_of(mac(key, bytes)), "a3817f04ba25a8e66df67214c7550293");
  bytes.push_back(std::byte{0});
  EXPECT_EQ(hex_of(mac(key, bytes)), "da87c1d86b99af44347659119b22fc45");
}

// Other bytes would not verify the logs that there are.
TEST(LogKey, IsWhatItWas) {
  const LogKey key = log_key_of(counted_key(), 3);
  EXPECT_EQ(hex_of(key.header), "4eb8e97a1398780227eff0ff6fce4fc4");
  EXPECT_EQ(hex_of(key.record), "849ba979c13a2f6bda5da7612f0925a5");
  EXPECT_EQ(hex_of(proof_of(counted_key())), "0d28a337a25f9107390fe0ff4fa7e88d");
}

TEST(LogKey, NoTwoAreAlike) {
  std::set<Mac> all = {proof_of(counted_key())};
  for (std::uint32_t shard = 0; shard < 100; ++shard) {
    EXPECT_TRUE(all.insert(log_key_of(counted_key(), shard).header).second);
    EXPECT_TRUE(all.insert(log_key_of(counted_key(), shard).record).second);
  }
  StoreKey other = counted_key();
  other[31] ^= 1;
  EXPECT_TRUE(all.insert(proof_of(other)).second);
  EXPECT_TRUE(all.insert(log_key_of(other, 0).header).second);
}

}  // namespace
}  // namespace scalio::layout
