#include "task/deadlines.h"

#include <gtest/gtest.h>

#include <string>

#include "task/event_loop.h"

namespace scalio {
namespace {

Task<std::string> after(Executor& executor, Nanos duration, std::string what) {
  if (duration > 0) co_await executor.sleep(duration);
  co_return what;
}

class DeadlinesTest : public testing::Test {
 protected:
  DeadlinesTest() : loop_(std::move(*EventLoop::create())), deadlines_(*loop_) {}
  void start(Nanos duration, Nanos bound, std::optional<std::string>* out, unsigned* ended) {
    loop_->spawn([](DeadlinesTest& t, Nanos d, Nanos b, std::optional<std::string>* o,
                    unsigned* n) -> Task<void> {
      *o = co_await t.deadlines_.within(t.loop_->now() + b, after(*t.loop_, d, "ended"));
      ++*n;
    }(*this, duration, bound, out, ended));
  }

  std::unique_ptr<EventLoop> loop_;
  Deadlines deadlines_;
};

TEST_F(DeadlinesTest, WhatEndsInTimeIsGiven) {
  std::optional<std::string> at_once, later;
  unsigned ended = 0;
  start(0, 10 * kSecond, &at_once, &ended);
  EXPECT_EQ(ended, 1U);
  start(2 * kMillisecond, 10 * kSecond, &later, &ended);
  loop_->run_until([&] { return ended == 2; });
  EXPECT_EQ(at_once, "ended");
  EXPECT_EQ(later, "ended");
  // Nothing is left that waits for the deadline itself.
  loop_->run_until([&] { return loop_->spawned() == 0; });
}

TEST_F(DeadlinesTest, WhatDoesNotIsLeftToItself) {
  std::optional<std::string> late = "x", in_time;
  unsigned ended = 0;
  start(50 * kMillisecond, 3 * kMillisecond, &late, &ended);
  start(10 * kMillisecond, 10 * kSecond, &in_time, &ended);
  loop_->run_until([&] { return ended == 1; });
  EXPECT_EQ(late, std::nullopt);
  loop_->run_until([&] { return ended == 2; });
  EXPECT_EQ(in_time, "ended");
  EXPECT_GT(loop_->spawned(), 0U);
  loop_->run_until([&] { return loop_->spawned() == 0; });
}

}  // namespace
}  // namespace scalio
