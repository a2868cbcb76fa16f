#include "task/timer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <string>

#include "testing/loops.h"

namespace scalio {
namespace {

TEST(Timer, CallsBackOnceAndNotBeforeItsTime) {
  LoopPtr loop = make_loop();
  int calls = 0;
  Timer timer(*loop, [&] { ++calls; });
  EXPECT_FALSE(timer.armed());
  const Nanos when = loop->now() + 5 * kMillisecond;
  timer.arm(when);
  EXPECT_TRUE(timer.armed());
  turn_until(*loop, [&] { return calls > 0; });
  EXPECT_GE(loop->now(), when);
  EXPECT_FALSE(timer.armed());
  for (int i = 0; i < 10; ++i) loop->turn(false);
  EXPECT_EQ(calls, 1);
}

TEST(Timer, ALoopThatComesLateHandlesFirstWhatArrived) {
  LoopPtr loop = make_loop();
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ASSERT_GE(event, 0);
  std::string order;
  Watch watch(*loop, event, POLLIN, [&](std::uint32_t) {
    std::uint64_t count;
    if (read(event, &count, sizeof count) > 0) order += "arrival ";
  });
  Timer timer(*loop, [&] { order += "deadline "; });
  const Nanos deadline = loop->now() + 5 * kMillisecond;
  timer.arm(deadline);
  loop->turn(false);
  ASSERT_EQ(eventfd_write(event, 1), 0);
  while (loop->now() < deadline + kMillisecond) {
  }
  turn_until(*loop, [&] { return order.size() > 10; });
  EXPECT_EQ(order, "arrival deadline ");
  close(event);
}

TEST(Timer, CancelledReplacedAndDestroyedOnesDoNotCallBack) {
  LoopPtr loop = make_loop();
  int wrong = 0, right = 0;
  Timer cancelled(*loop, [&] { ++wrong; });
  cancelled.arm(loop->now() + kMillisecond);
  cancelled.cancel();
  {
    Timer destroyed(*loop, [&] { ++wrong; });
    destroyed.arm(loop->now() + kMillisecond);
  }
  Timer replaced(*loop, [&] { ++right; });
  replaced.arm(loop->now() + kMillisecond);
  replaced.arm(loop->now() + 2 * kMillisecond);
  bool end = false;
  Timer last(*loop, [&] { end = true; });
  last.arm(loop->now() + 10 * kMillisecond);
  turn_until(*loop, [&] { return end; });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(right, 1);
}

TEST(Timer, MayBeArmedAgainAndDestroyedByItsCallback) {
  LoopPtr loop = make_loop();
  int calls = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(*loop, [&] {
    if (++calls < 3)
      timer->arm(loop->now());
    else
      timer.reset();
  });
  timer->arm(loop->now());
  turn_until(*loop, [&] { return timer == nullptr; });
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace scalio
