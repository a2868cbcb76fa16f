#include "task/deadlines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "task/event_loop.h"

namespace scalio {
namespace {

Task<std::string> after(Executor& executor, Nanos duration, std::string what) {
  if (duration > 0) co_await executor.sleep(duration);
  co_return what;
}

// Ends when it is told to, whatever the time.
Task<std::string> once(Executor& executor, const bool& told) {
  while (!told) co_await executor.sleep(kMillisecond);
  co_return "ended";
}

std::string late() { return "late"; }

class DeadlinesTest : public testing::Test {
 protected:
  DeadlinesTest() : loop_(std::move(*EventLoop::create())), deadlines_(*loop_) {}
  // Something that may take `bound`.
  void start(Task<std::string> task, Nanos bound, std::string* out) {
    loop_->spawn([](DeadlinesTest& t, Task<std::string> f, Nanos b, std::string* o) -> Task<void> {
      *o = co_await t.deadlines_.within(t.loop_->now() + b, std::move(f), late);
      t.ended_.push_back(o);
    }(*this, std::move(task), bound, out));
  }
  void start(Nanos duration, Nanos bound, std::string* out) {
    start(after(*loop_, duration, "ended"), bound, out);
  }

  std::unique_ptr<EventLoop> loop_;
  Deadlines deadlines_;
  std::vector<std::string*> ended_;  // in this order
};

TEST_F(DeadlinesTest, WhatEndsInTimeIsGiven) {
  std::string at_once, later;
  start(0, 10 * kSecond, &at_once);
  EXPECT_EQ(ended_.size(), 1U);
  start(2 * kMillisecond, 10 * kSecond, &later);
  loop_->run_until([&] { return ended_.size() == 2; });
  EXPECT_EQ(at_once, "ended");
  EXPECT_EQ(later, "ended");
  // Nothing is left that waits for the deadline itself.
  loop_->run_until([&] { return loop_->spawned() == 0; });
}

TEST_F(DeadlinesTest, WhatDoesNotIsLeftToItself) {
  std::string too_late, in_time;
  bool told = false;
  start(once(*loop_, told), 3 * kMillisecond, &too_late);
  start(10 * kMillisecond, 10 * kSecond, &in_time);
  loop_->run_until([&] { return ended_.size() == 2; });
  EXPECT_EQ(too_late, "late");
  EXPECT_EQ(in_time, "ended");
  EXPECT_GT(loop_->spawned(), 0U);
  told = true;
  loop_->run_until([&] { return loop_->spawned() == 0; });
}

// Of a thousand that wait each would otherwise look at the time by itself.
TEST_F(DeadlinesTest, CopiesLookAtTheTimeTogether) {
  const Deadlines copy = deadlines_;
  std::string one, another;
  bool told = false;
  const auto begin = [&](Deadlines by, Nanos bound, std::string* out) {
    loop_->spawn([](EventLoop& loop, Deadlines d, Nanos b, std::string* o, bool& t) -> Task<void> {
      *o = co_await d.within(loop.now() + b, once(loop, t), late);
    }(*loop_, std::move(by), bound, out, told));
  };
  begin(deadlines_, 10 * kSecond, &one);
  const std::size_t before = loop_->spawned();
  begin(copy, 2 * kMillisecond, &another);
  EXPECT_EQ(loop_->spawned(), before + 1);
  loop_->run_until([&] { return !another.empty(); });
  told = true;
  loop_->run_until([&] { return loop_->spawned() == 0; });
  EXPECT_EQ(one, "ended");
  EXPECT_EQ(another, "late");
}

TEST_F(DeadlinesTest, TheEarliestEndsFirstInWhateverOrderTheyBegan) {
  std::string third, last, first, second;
  bool told = false;
  start(once(*loop_, told), 20 * kMillisecond, &third);
  start(once(*loop_, told), 10 * kSecond, &last);
  start(once(*loop_, told), 1 * kMillisecond, &first);
  start(once(*loop_, told), 10 * kMillisecond, &second);
  loop_->run_until([&] { return ended_.size() == 3; });
  told = true;
  loop_->run_until([&] { return loop_->spawned() == 0; });
  EXPECT_EQ(ended_, (std::vector<std::string*>{&first, &second, &third, &last}));
  EXPECT_EQ(first + second + third + last, "latelatelateended");
}

}  // namespace
}  // namespace scalio
