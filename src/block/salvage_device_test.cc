#include "block/salvage_device.h"

#include <gtest/gtest.h>

#include <map>

#include "block/buffer.h"
#include "testing/faulty_device.h"
#include "testing/loops.h"
#include "testing/memory_device.h"

namespace scalio::block {
namespace {

class SalvageDeviceTest : public ::testing::Test {
 protected:
  SalvageDeviceTest() { std::ranges::fill(memory_.contents(), std::byte{7}); }
  void fail(std::uint64_t begin, std::uint64_t end) {
    faulty_.fail(Io::Kind::read, FaultyDevice::kEvery, {begin, end});
  }
  Status read(std::uint64_t offset, ByteSpan into) {
    return run(*loop_, [](BlockDevice* d, std::uint64_t at, ByteSpan to) -> Task<Status> {
      co_return co_await d->read(at, to);
    }(&device_, offset, into));
  }

  const LoopPtr loop_ = make_loop();
  MemoryDevice memory_{*loop_, "memory", 1 << 20, 512};
  FaultyDevice faulty_{*loop_, memory_};
  SalvageDevice device_{*loop_, faulty_};
};

TEST_F(SalvageDeviceTest, WhatCannotBeReadIsZerosAndTold) {
  fail(8192 + 100, 8192 + 101);
  fail(12288, 12289);
  fail(40960, 40961);
  Buffer buffer(64 << 10);
  ASSERT_TRUE(read(0, buffer.span()).ok());
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    const bool lost = (i >= 8192 && i < 16384) || (i >= 40960 && i < 45056);
    ASSERT_EQ(buffer.span()[i], std::byte{lost ? std::uint8_t{0} : std::uint8_t{7}}) << i;
  }
  const std::map<std::uint64_t, std::uint64_t> lost{{8192, 16384}, {40960, 45056}};
  EXPECT_EQ(device_.lost(), lost);
  EXPECT_FALSE(device_.is_lost(0, 8192));
  EXPECT_TRUE(device_.is_lost(0, 8193));
  EXPECT_TRUE(device_.is_lost(16383, 1));
  EXPECT_FALSE(device_.is_lost(16384, 24576));

  // What is known to be lost is not tried again.
  const std::uint64_t struck = faulty_.struck();
  ASSERT_TRUE(read(8192, buffer.first(16384)).ok());
  EXPECT_EQ(faulty_.struck(), struck);
  EXPECT_EQ(buffer.span()[0], std::byte{0});
  EXPECT_EQ(buffer.span()[8192], std::byte{7});
}

TEST_F(SalvageDeviceTest, AnErrorThatPassesLosesNothing) {
  faulty_.fail(Io::Kind::read, 1);
  Buffer buffer(16384);
  ASSERT_TRUE(read(512, buffer.first(8192)).ok());
  EXPECT_TRUE(device_.lost().empty());
  EXPECT_EQ(buffer.span()[0], std::byte{7});
}

}  // namespace
}  // namespace scalio::block
