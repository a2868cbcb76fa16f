#include "server/log_space.h"

#include <gtest/gtest.h>

#include "testing/shard_parts.h"

namespace scalio::server {
namespace {

constexpr std::uint32_t kRecord = 64;

class LogSpaceTest : public ::testing::Test {
 protected:
  Task<void> wait() {
    co_await space_.wait();
    ++woken_;
  }

  ShardParts parts_{test_geometry(16)};
  LogSpace& space_ = parts_.space;
  int woken_ = 0;
};

TEST_F(LogSpaceTest, EachWriteOwesItsImages) {
  std::uint64_t writes = 0;
  for (; space_.admits(kRecord); ++writes) space_.admit(writes);
  // Each needs three buckets at least, and not all of the log is given away.
  EXPECT_GT(writes, 0u);
  EXPECT_LT(writes * layout::kMaxImageBuckets * parts_.geometry.bucket_size, parts_.log.free());
  EXPECT_EQ(space_.debts(), writes);
  EXPECT_TRUE(space_.scarce());
  space_.settle(0);
  EXPECT_TRUE(space_.admits(kRecord)) << "one that has failed owes nothing";
  for (std::uint64_t lsn = 1; lsn < writes; ++lsn) space_.settle(lsn);
  EXPECT_EQ(space_.debts(), 0u);
  EXPECT_FALSE(space_.scarce());
}

TEST_F(LogSpaceTest, WhatIsPublishedOrGatheredOwesToo) {
  parts_.put("key", "value");
  EXPECT_EQ(space_.debts(), 1u) << "its slot is DIRTY";
  space_.gather(1000);
  EXPECT_FALSE(space_.admits(kRecord));
  space_.release(1000);
  EXPECT_TRUE(space_.admits(kRecord));
}

TEST_F(LogSpaceTest, NothingAboveTheOldestUnpublishedRecordIsKnownToBePublished) {
  const std::uint64_t open = parts_.log.open_lsn();
  EXPECT_EQ(space_.published_below(), open);
  space_.admit(open - 16);
  space_.admit(open - 8);
  EXPECT_EQ(space_.published_below(), open - 16);
  space_.settle(open - 16);
  EXPECT_EQ(space_.published_below(), open - 8);
  space_.settle(open - 8);
  EXPECT_EQ(space_.published_below(), open);
}

TEST_F(LogSpaceTest, WhoWaitsIsWokenByACheckpoint) {
  EXPECT_FALSE(space_.scarce());
  parts_.loop->spawn(wait());
  parts_.settle();
  EXPECT_TRUE(space_.blocked());
  EXPECT_TRUE(space_.scarce()) << "somebody waits, however much is free";
  EXPECT_EQ(woken_, 0);
  space_.reclaimed();
  parts_.settle();
  EXPECT_FALSE(space_.blocked());
  EXPECT_EQ(woken_, 1);
}

}  // namespace
}  // namespace scalio::server
