#include "redis/reply_memory.h"

#include "testing/loops.h"

namespace scalio::redis {
namespace {

constexpr char kPlace[] = "tcp 10.0.0.7", kOther[] = "tcp 10.0.0.8";

class ReplyMemoryTest : public LoopTest {
 protected:
  // Has so much, all of it on its way.
  static void have(ReplyRoom& room, std::uint64_t bytes) {
    room.take(bytes);
    room.leave(bytes);
  }

  ReplyMemory memory_{*loop_, kMillisecond};
};

TEST_F(ReplyMemoryTest, WhatOneAddressHasLeavesRoomForAnother) {
  ReplyRoom room(memory_, kPlace, [] {}), same(memory_, kPlace, [] {}),
      other(memory_, kOther, [] {});
  room.take(ReplyMemory::kOfPlace);
  EXPECT_FALSE(room.fits(1));
  EXPECT_FALSE(same.fits(1));
  EXPECT_TRUE(other.fits(ReplyMemory::kOfPlace));
  other.take(1);
  EXPECT_FALSE(other.fits(ReplyMemory::kOfPlace));
  EXPECT_EQ(memory_.used(), ReplyMemory::kOfPlace + 1);
  room.give_back(ReplyMemory::kOfPlace);
  EXPECT_TRUE(same.fits(ReplyMemory::kOfPlace));
  other.give_back(1);
  EXPECT_EQ(memory_.used(), 0u);
}

TEST_F(ReplyMemoryTest, OneReplyOfAnAddressGrowsAtATime) {
  ReplyRoom room(memory_, kPlace, [] {}), same(memory_, kPlace, [] {}),
      other(memory_, kOther, [] {});
  EXPECT_TRUE(room.grow());
  EXPECT_TRUE(room.grow());
  EXPECT_FALSE(same.grow());
  EXPECT_TRUE(other.grow());
  same.grown();
  EXPECT_FALSE(same.grow());
  room.grown();
  EXPECT_TRUE(same.grow());
}

TEST_F(ReplyMemoryTest, WhoKeepsOthersWaitingTakesWhatItHasOrIsClosed) {
  constexpr std::uint64_t kMuch = 100 << 20;
  int slow_closed = 0, quick_closed = 0, small_closed = 0;
  ReplyRoom* its = nullptr;
  ReplyRoom slow(memory_, kPlace, [&] {
    ++slow_closed;
    its->left(0, its->used());
  });
  its = &slow;
  ReplyRoom quick(memory_, kPlace, [&] { ++quick_closed; });
  ReplyRoom small(memory_, kOther, [&] { ++small_closed; });
  have(slow, kMuch);
  have(quick, kMuch);
  have(small, 1000);
  loop_->spawn(memory_.wait_for_others());
  quick.left(ReplyMemory::kTaken, 0);
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  EXPECT_EQ(slow_closed, 1);
  EXPECT_EQ(quick_closed, 0);
  EXPECT_EQ(small_closed, 0);
  EXPECT_EQ(memory_.used(), kMuch + 1000);
  quick.left(0, kMuch);
  small.left(0, 1000);
}

// It is the address that is full, not the memory.
TEST_F(ReplyMemoryTest, WhoKeepsOthersOfItsAddressWaitingIsClosed) {
  int closed = 0;
  ReplyRoom* its = nullptr;
  ReplyRoom slow(memory_, kPlace, [&] {
    ++closed;
    its->left(0, its->used());
  });
  its = &slow;
  ReplyRoom waits(memory_, kPlace, [] {}), other(memory_, kOther, [] {});
  have(slow, 80 << 20);  // of all less than a third; of the address more than half
  loop_->spawn(memory_.wait_for_others());
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(memory_.used(), 0u);
}

}  // namespace
}  // namespace scalio::redis
