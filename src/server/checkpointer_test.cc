#include "server/checkpointer.h"

#include <gtest/gtest.h>

#include "testing/shard_parts.h"

namespace scalio::server {
namespace {

class CheckpointerTest : public ::testing::Test {
 protected:
  Status checkpoint(std::uint64_t target) {
    return run(*parts_.loop, parts_.checkpointer.checkpoint(target));
  }

  // Of the log, when it has moved.
  std::uint64_t tail() const { return parts_.log.head() - parts_.log.used(); }

  ShardParts parts_{test_geometry(16)};
};

TEST_F(CheckpointerTest, WhatIsMergedLeavesTheLog) {
  const std::string key = parts_.key_in(3, 0);
  parts_.put(key, "one");
  const WriteSlot& last = parts_.put(parts_.key_in(9, 0), "two");
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_EQ(parts_.table.dirty(), 0u);
  EXPECT_EQ(parts_.stored(key)->value, "one");
  EXPECT_GT(tail(), last.lsn);
  EXPECT_GT(parts_.ssd.counters().flushes, 0u) << "buckets are durable before the log is dropped";
  EXPECT_EQ(parts_.checkpointer.count(), 1u);
}

TEST_F(CheckpointerTest, WhatIsNewerThanTheTargetStays) {
  parts_.put(parts_.key_in(3, 0), "one");
  const WriteSlot& newer = parts_.put(parts_.key_in(9, 0), "two");
  ASSERT_TRUE(checkpoint(newer.lsn).ok());
  EXPECT_TRUE(newer.dirty());
  EXPECT_EQ(parts_.table.dirty(), 1u);
}

TEST_F(CheckpointerTest, ARecordThatIsNotPublishedHoldsTheTail) {
  const WriteSlot& slot = parts_.put(parts_.key_in(3, 0), "one");
  const std::uint64_t used = parts_.log.used();
  parts_.space.admit(slot.lsn);
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_TRUE(slot.dirty());
  EXPECT_GE(parts_.log.used(), used);
  parts_.space.settle(slot.lsn);
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_FALSE(slot.dirty());
}

TEST_F(CheckpointerTest, AnImageThatIsNotInPlaceHoldsTheTail) {
  const Bytes page(parts_.geometry.bucket_size);
  std::uint64_t image = 0;
  ASSERT_TRUE(run(*parts_.loop, parts_.images.log_image({{3, page}}, {}, &image)).ok());
  for (int i = 0; i < 3; ++i) parts_.put(parts_.key_in(9, 0), "value");
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_GE(parts_.log.used(), parts_.log.head() - image);
  parts_.images.image_in_place(image);
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_LT(parts_.log.used(), parts_.log.head() - image);
}

TEST_F(CheckpointerTest, AWriteThatCannotBeMergedIsLoggedAgain) {
  const std::string key = parts_.key_in(3, 0);
  WriteSlot& slot = parts_.put(key, "value");
  const std::uint64_t lsn = slot.lsn, version = slot.version;
  parts_.damage(3);
  ASSERT_TRUE(checkpoint(parts_.log.head()).ok());
  EXPECT_TRUE(slot.dirty());
  EXPECT_GT(slot.lsn, lsn);
  EXPECT_EQ(slot.version, version);
  EXPECT_GT(tail(), lsn) << "the first one was dropped";
}

// While a newer write of its key is in the log, a write that cannot be merged has nothing to do.
class StuckWriteTest : public CheckpointerTest {
 protected:
  StuckWriteTest() : slot_(parts_.put(parts_.key_in(3, 0), "value")) { parts_.damage(3); }
  ~StuckWriteTest() override {
    slot_.in_log = 0;
    turn_until(*parts_.loop, [&] { return ended_.has_value(); });
    EXPECT_TRUE(ended_->ok()) << ended_->to_string();
  }

  Task<void> checkpoint_all() {
    ended_ = co_await parts_.checkpointer.checkpoint(parts_.log.head());
  }
  Task<void> log_newer() {
    const Log::Ticket ticket =
        parts_.log.add(layout::LogKind::value, 0, parts_.key_in(3, 0), as_bytes("newer"));
    slot_.in_log = 1;
    parts_.space.admit(ticket.lsn);
    const Status s = co_await parts_.log.durable(ticket.batch);
    EXPECT_TRUE(s.ok()) << s.to_string();
    parts_.space.settle(ticket.lsn);
    slot_.in_log = 0;
  }

  WriteSlot& slot_;
  std::optional<Status> ended_;
};

TEST_F(StuckWriteTest, WaitsForTheBatchOfANewerOneWithoutLookingAgain) {
  // Seen while the SSD writes the batch, a loop that waits turns a few times.
  parts_.device.delay(block::Io::Kind::write, 100 * kMillisecond, 1);
  parts_.loop->spawn(checkpoint_all());
  parts_.loop->spawn(log_newer());
  int turns = 0;
  while (slot_.in_log > 0 || turns == 0) {
    parts_.loop->turn(true);
    ++turns;
  }
  EXPECT_LT(turns, 100);
}

TEST_F(StuckWriteTest, LetsANewerOneThatIsDurableBePublished) {
  slot_.in_log = 1;
  parts_.loop->spawn(checkpoint_all());
  parts_.settle();
  EXPECT_FALSE(ended_.has_value());
}

TEST_F(CheckpointerTest, ItBeginsByItselfWhenSomebodyWaitsForSpace) {
  parts_.loop->spawn(parts_.checkpointer.run());
  parts_.put(parts_.key_in(3, 0), "value");
  parts_.settle();
  EXPECT_EQ(parts_.checkpointer.count(), 0u);
  run(*parts_.loop, parts_.space.wait());
  run(*parts_.loop, parts_.checkpointer.drain());
  EXPECT_EQ(parts_.checkpointer.count(), 1u);
  EXPECT_EQ(parts_.table.dirty(), 0u);
}

TEST_F(CheckpointerTest, AFlushThatFailsKeepsTheLog) {
  parts_.put(parts_.key_in(3, 0), "value");
  const std::uint64_t used = parts_.log.used();
  parts_.device.fail(block::Io::Kind::flush, 1);
  EXPECT_EQ(checkpoint(parts_.log.head()).code(), Code::io_error);
  EXPECT_GE(parts_.log.used(), used);
  EXPECT_TRUE(parts_.stop.failed());
}

}  // namespace
}  // namespace scalio::server
