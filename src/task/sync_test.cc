#include "task/sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "testing/loops.h"

namespace scalio {
namespace {

using SyncTest = LoopTest;

Task<void> wait_and_append(WaitList* list, std::vector<int>* out, int value) {
  co_await list->wait();
  out->push_back(value);
}

TEST_F(SyncTest, WaitListWakesOldestFirst) {
  WaitList list(*loop_);
  list.wake_one();  // nobody waits: nothing is remembered
  std::vector<int> out;
  for (int i = 0; i < 4; ++i) loop_->spawn(wait_and_append(&list, &out, i));
  EXPECT_EQ(list.size(), 4u);

  list.wake_one();
  EXPECT_EQ(list.size(), 3u);
  EXPECT_TRUE(out.empty());  // resumed by the loop, not by the waker
  loop_->turn(false);
  EXPECT_EQ(out, std::vector<int>{0});

  list.wake_all();
  EXPECT_TRUE(list.empty());
  run_spawned();
  EXPECT_EQ(out, (std::vector<int>{0, 1, 2, 3}));
}

using SyncDeathTest = SyncTest;

TEST_F(SyncDeathTest, WaitListMustBeEmptyWhenItEnds) {
  EXPECT_DEATH(
      {
        WaitList list(*loop_);
        std::vector<int> out;
        loop_->spawn(wait_and_append(&list, &out, 1));
      },
      "empty");
}

struct Section {
  int inside = 0;
  int most = 0;
  std::vector<int> order;
};

Task<void> pass_through(Executor* executor, Semaphore* semaphore, Section* section, int id) {
  co_await semaphore->acquire();
  section->order.push_back(id);
  section->most = std::max(section->most, ++section->inside);
  for (int i = 0; i < 3; ++i) co_await executor->yield();
  --section->inside;
  semaphore->release();
}

TEST_F(SyncTest, SemaphoreLimitsAndLetsInInOrder) {
  Semaphore semaphore(*loop_, 3);
  Section section;
  for (int i = 0; i < 20; ++i) loop_->spawn(pass_through(loop_.get(), &semaphore, &section, i));
  EXPECT_EQ(section.inside, 3);
  run_spawned();
  EXPECT_EQ(section.inside, 0);
  EXPECT_EQ(section.most, 3);
  EXPECT_TRUE(std::is_sorted(section.order.begin(), section.order.end()));
  EXPECT_EQ(section.order.size(), 20u);
}

}  // namespace
}  // namespace scalio
