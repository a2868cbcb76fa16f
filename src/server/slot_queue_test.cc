#include "server/slot_queue.h"

#include <gtest/gtest.h>

#include "testing/loops.h"

namespace scalio::server {
namespace {

class SlotQueueTest : public ::testing::Test {
 protected:
  Task<void> wait(std::uint64_t block) {
    co_await queue_.wait(block);
    ++woken_;
  }
  Task<void> wait_for_slot(std::uint64_t block) {
    co_await queue_.wait_for_slot(block);
    ++woken_;
  }
  void turn() {
    for (int i = 0; i < 10; ++i) loop_->turn(false);
  }

  LoopPtr loop_ = make_loop();
  SlotQueue queue_{*loop_};
  int woken_ = 0;
};

TEST_F(SlotQueueTest, OnlyThoseOfTheBlockAreWoken) {
  loop_->spawn(wait(1));
  loop_->spawn(wait(1));
  loop_->spawn(wait(2));
  turn();
  EXPECT_EQ(woken_, 0);
  queue_.wake(3);
  queue_.wake(1);
  turn();
  EXPECT_EQ(woken_, 2);
  queue_.wake(2);
  turn();
  EXPECT_EQ(woken_, 3);
}

TEST_F(SlotQueueTest, ABlockStarvesWhileAWriteNeedsASlotOfIt) {
  loop_->spawn(wait(1));
  turn();
  EXPECT_FALSE(queue_.starving(1)) << "it waits, and needs none";
  loop_->spawn(wait_for_slot(1));
  loop_->spawn(wait_for_slot(1));
  turn();
  EXPECT_TRUE(queue_.starving(1));
  EXPECT_FALSE(queue_.starving(2));
  queue_.wake(1);
  EXPECT_TRUE(queue_.starving(1)) << "until they go on";
  turn();
  EXPECT_EQ(woken_, 3);
  EXPECT_FALSE(queue_.starving(1));
}

TEST_F(SlotQueueTest, AFailureWakesAll) {
  loop_->spawn(wait(1));
  loop_->spawn(wait_for_slot(2));
  turn();
  queue_.wake_all();
  turn();
  EXPECT_EQ(woken_, 2);
}

}  // namespace
}  // namespace scalio::server
