#include "task/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "testing/loops.h"
#include "testing/sanitizer.h"

namespace scalio {
namespace {

using EventLoopTest = LoopTest;

// Two connected, nonblocking descriptors.
class Pair {
 public:
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_), 0); }
  ~Pair() {
    close_far();
    close(fds_[0]);
  }
  int near() const { return fds_[0]; }
  void send(const std::string& text) {
    EXPECT_EQ(write(fds_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // What has arrived at the near end; reads until EAGAIN or the end.
  std::string receive() {
    std::string text;
    char buffer[64];
    for (ssize_t n; (n = read(fds_[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
    return text;
  }
  void close_far() {
    if (fds_[1] >= 0) close(fds_[1]);
    fds_[1] = -1;
  }

 private:
  int fds_[2] = {-1, -1};
};

Task<void> append(std::vector<int>* out, int value) {
  out->push_back(value);
  co_return;
}

Task<void> append_after_yields(Executor* executor, std::vector<int>* out, int value, int yields) {
  for (int i = 0; i < yields; ++i) {
    co_await executor->yield();
    out->push_back(value);
  }
}

Task<void> append_at(Executor* executor, std::vector<int>* out, int value, Nanos when) {
  co_await executor->sleep_until(when);
  EXPECT_GE(executor->now(), when);
  out->push_back(value);
}

Task<int> sum_below(Executor* executor, int n) {
  if (n == 0) co_return 0;
  co_await executor->yield();
  const int rest = co_await sum_below(executor, n - 1);
  co_return n + rest;
}

Task<void> store_sum_below(Executor* executor, int n, int* out) {
  *out = co_await sum_below(executor, n);
}

Task<int> at_once(int value) { co_return value; }

Task<void> add_up(Executor* executor, int n, std::uint64_t* sum) {
  for (int i = 0; i < n; ++i) *sum += static_cast<std::uint64_t>(co_await at_once(i));
  co_await executor->yield();
  for (int i = 0; i < n; ++i) *sum += static_cast<std::uint64_t>(co_await at_once(i));
}

// In builds without tail calls too, as those of the sanitizers.
TEST_F(EventLoopTest, AwaitingTasksThatEndAtOnceDoesNotGrowTheStack) {
  std::uint64_t sum = 0;
  constexpr int kTasks = 1'000'000;
  loop_->spawn(add_up(loop_.get(), kTasks, &sum));
  run_spawned();
  EXPECT_EQ(sum, std::uint64_t{kTasks} * (kTasks - 1));
}

TEST_F(EventLoopTest, WithoutDescriptorsItIsNotCreatedAndSaysWhy) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  int created = 0, refused = 0;
  for (rlim_t limit = 0; limit < 40; ++limit) {
    const rlimit few{limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto loop = EventLoop::create();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ++(loop.ok() ? created : refused);
    if (loop.ok()) continue;
    EXPECT_EQ(loop.code(), Code::unavailable);
    EXPECT_NE(loop.status().message().find("Too many open files"), std::string::npos);
  }
  EXPECT_GT(created, 0);
  EXPECT_GT(refused, 3);
}

TEST_F(EventLoopTest, HasOneOfAKindUntilItEnds) {
  const auto held = std::make_shared<int>(1);
  using Local = std::shared_ptr<int>;
  loop_->local<Local>() = held;
  EXPECT_EQ(&loop_->local<Local>(), &loop_->local<Local>());
  auto other = EventLoop::create();
  ASSERT_TRUE(other.ok());
  EXPECT_EQ((*other)->local<Local>(), nullptr);
  loop_.reset();
  EXPECT_EQ(held.use_count(), 1);
}

Task<void> do_at_once(EventLoop* loop, int n, std::vector<int>* out) {
  for (int i = 0; i < n; ++i) {
    if (!loop->may_go_on()) co_await loop->yield();
    out->push_back(n);
  }
}

TEST_F(EventLoopTest, WhoMayNotGoOnLeavesTheTurnToOthers) {
  constexpr int kMany = 1000, kFew = 10;
  std::vector<int> out;
  loop_->spawn(do_at_once(loop_.get(), kMany, &out));
  loop_->spawn(do_at_once(loop_.get(), kFew, &out));
  run_spawned();
  ASSERT_EQ(out.size(), static_cast<std::size_t>(kMany + kFew));
  EXPECT_EQ(out.back(), kMany);
}

// The parent's end of the ring and its sockets are as they were.
TEST_F(EventLoopTest, KnowsThatItIsInAForkedProcess) {
  Pair pair;
  std::string got;
  Watch watch(*loop_, pair.near(), POLLIN, [&](std::uint32_t) { got += pair.receive(); });
  EXPECT_FALSE(loop_->forked());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(loop_->forked() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(loop_->forked());
  pair.send("after");
  loop_->run_until([&] { return got == "after"; });
}

TEST_F(EventLoopTest, SpawnRunsAtOnceUntilItSuspends) {
  std::vector<int> out;
  loop_->spawn(append(&out, 1));
  EXPECT_EQ(out, std::vector<int>{1});
  EXPECT_EQ(loop_->spawned(), 0u);

  loop_->spawn(append_after_yields(loop_.get(), &out, 2, 1));
  EXPECT_EQ(out, std::vector<int>{1});
  EXPECT_EQ(loop_->spawned(), 1u);
  loop_->turn(false);
  EXPECT_EQ(out, (std::vector<int>{1, 2}));
  EXPECT_EQ(loop_->spawned(), 0u);
}

TEST_F(EventLoopTest, YieldingCoroutinesTakeTurns) {
  std::vector<int> out;
  loop_->spawn(append_after_yields(loop_.get(), &out, 1, 3));
  loop_->spawn(append_after_yields(loop_.get(), &out, 2, 3));
  run_spawned();
  EXPECT_EQ(out, (std::vector<int>{1, 2, 1, 2, 1, 2}));
}

TEST_F(EventLoopTest, TasksAwaitTasksAndGetTheirValues) {
  int sum = 0;
  loop_->spawn(store_sum_below(loop_.get(), 100, &sum));
  run_spawned();
  EXPECT_EQ(sum, 5050);
}

TEST_F(EventLoopTest, ManyPostedRunInOrder) {
  constexpr int kMany = 100'000;
  std::vector<int> out;
  for (int i = 0; i < kMany; ++i) loop_->spawn(append_after_yields(loop_.get(), &out, i, 1));
  EXPECT_EQ(loop_->spawned(), static_cast<std::size_t>(kMany));
  run_spawned();
  ASSERT_EQ(out.size(), static_cast<std::size_t>(kMany));
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(out[i], i);
}

TEST_F(EventLoopTest, TimersResumeByTimeAndThenByAge) {
  std::vector<int> out;
  const Nanos soon = loop_->now() + 2 * kMillisecond;
  loop_->spawn(append_at(loop_.get(), &out, 4, soon + 2 * kMillisecond));
  loop_->spawn(append_at(loop_.get(), &out, 2, soon));
  loop_->spawn(append_at(loop_.get(), &out, 3, soon));
  loop_->spawn(append_at(loop_.get(), &out, 1, soon - kMillisecond));
  run_spawned();  // sleeps in the kernel: nothing else wakes it
  EXPECT_EQ(out, (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(EventLoopTest, ATimerInThePastIsDueAtTheNextTurn) {
  std::vector<int> out;
  loop_->spawn(append_at(loop_.get(), &out, 1, 0));
  EXPECT_TRUE(out.empty());
  loop_->turn(true);
  EXPECT_EQ(out, std::vector<int>{1});
}

TEST_F(EventLoopTest, ATurnThatMayNotBlockReturnsWithNothingToDo) {
  loop_->turn(false);  // would sleep forever
  loop_->turn(false);
}

TEST_F(EventLoopTest, RunOnLoopWakesASleepingLoopAndKeepsOrder) {
  constexpr int kThreads = 3, kEach = 1000;
  std::vector<std::vector<int>> got(kThreads);
  int total = 0;
  const std::thread::id self = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop_->run_on_loop([&, t, i] {
          EXPECT_EQ(std::this_thread::get_id(), self);
          got[t].push_back(i);
          ++total;
        });
      }
    });
  }
  loop_->run_until([&] { return total == kThreads * kEach; });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int>& one : got) {
    for (int i = 0; i < kEach; ++i) ASSERT_EQ(one[i], i);
  }
}

TEST_F(EventLoopTest, RunOnLoopFromTheLoopItself) {
  bool ran = false;
  loop_->run_on_loop([&] { loop_->run_on_loop([&] { ran = true; }); });
  loop_->run_until([&] { return ran; });
}

TEST_F(EventLoopTest, FunctionsHeldAtTheEndAreDropped) {
  bool ran = false;
  auto held = std::make_shared<int>(0);
  loop_->run_on_loop([&ran, held] { ran = true; });
  loop_.reset();
  EXPECT_FALSE(ran);
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(EventLoopTest, MayBeCreatedOnOneThreadAndRunOnAnother) {
  Pair pair;
  std::string got;
  std::atomic<bool> stop = false;
  // Armed here, ready there, stopped there.
  auto watch = std::make_optional<Watch>(*loop_, pair.near(), POLLIN, [&](std::uint32_t) {
    got += pair.receive();
    stop = got == "hello";
  });
  std::thread thread([&] {
    loop_->run_until([&] { return stop.load(); });
    watch.reset();
  });
  pair.send("hello");
  thread.join();
  EXPECT_EQ(got, "hello");
}

TEST_F(EventLoopTest, WatchReportsWhatIsThereAndWhatComes) {
  Pair pair;
  pair.send("one");
  std::string got;
  std::uint32_t seen = 0;
  Watch watch(*loop_, pair.near(), POLLIN, [&](std::uint32_t events) {
    seen |= events;
    got += pair.receive();
  });
  loop_->run_until([&] { return got == "one"; });
  EXPECT_TRUE(seen & POLLIN);
  for (int i = 0; i < 100; ++i) {
    pair.send("x");
    loop_->run_until([&] { return got.size() == 4u + i; });
  }
  pair.close_far();
  loop_->run_until([&] { return (seen & POLLHUP) != 0; });
}

TEST_F(EventLoopTest, WatchOfABadDescriptorReportsAnError) {
  std::uint32_t seen = 0;
  std::optional<Watch> watch;
  watch.emplace(*loop_, -1, POLLIN, [&](std::uint32_t events) {
    seen = events;
    watch.reset();
  });
  loop_->run_until([&] { return seen != 0; });
  EXPECT_EQ(seen, static_cast<std::uint32_t>(POLLERR));
}

TEST_F(EventLoopTest, AWatchThatIsRefusedIsTriedAgainAfterLongerAndLongerPauses) {
  const Nanos began = loop_->now();
  int calls = 0;
  const Watch watch(*loop_, -1, POLLIN, [&](std::uint32_t) { ++calls; });
  loop_->run_until([&] { return calls == 9; });
  // 1 + 2 + 4 + 8 + 16 + 3 * 32 ms.
  EXPECT_GE(loop_->now() - began, 127 * kMillisecond);
}

// The watch of a pause ends as others do.
TEST_F(EventLoopTest, AWatchThatIsRefusedMayBeDestroyed) {
  const auto marker = std::make_shared<int>(7);
  int calls = 0;
  std::optional<Watch> watch;
  watch.emplace(*loop_, -1, POLLIN, [&calls, marker](std::uint32_t) { ++calls; });
  loop_->run_until([&] { return calls == 3; });
  watch.reset();
  loop_->run_until([&] { return marker.use_count() == 1; });
  EXPECT_EQ(calls, 3);
  watch.emplace(*loop_, -1, POLLIN, [&calls, marker](std::uint32_t) { ++calls; });
  loop_->run_until([&] { return calls == 6; });
  watch.reset();
  loop_.reset();
  EXPECT_EQ(marker.use_count(), 1);
}

// Without io_uring a watch needs a descriptor of its own.
TEST_F(EventLoopTest, AWatchGoesOnWithoutADescriptorAndWhenThereIsOneAgain) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  Pair pair;
  std::string got;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{1, before.rlim_max};  // the first is there
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Watch watch(*loop_, pair.near(), POLLIN, [&](std::uint32_t) { got += pair.receive(); });
  loop_->turn(false);
  pair.send("one");
  loop_->run_until([&] { return got == "one"; });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  pair.send("two");
  loop_->run_until([&] { return got == "onetwo"; });
}

TEST_F(EventLoopTest, WatchMayBeDestroyedInItsCallback) {
  Pair pair;
  int calls = 0;
  std::optional<Watch> watch;
  auto marker = std::make_shared<int>(7);
  watch.emplace(*loop_, pair.near(), POLLIN, [&, marker](std::uint32_t) {
    ++calls;
    watch.reset();
    EXPECT_EQ(*marker, 7);  // what the callback holds lives until it returns
  });
  pair.send("1");
  loop_->run_until([&] { return calls > 0; });
  pair.send("2");
  // Until the kernel let go of it: that frees what the callback held.
  loop_->run_until([&] { return marker.use_count() == 1; });
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, WatchMayBeDestroyedAtOnce) {
  Pair pair;
  pair.send("ready");
  auto marker = std::make_shared<int>(7);
  int calls = 0;
  {
    Watch watch(*loop_, pair.near(), POLLIN, [&calls, marker](std::uint32_t) { ++calls; });
    EXPECT_EQ(marker.use_count(), 2);
  }
  loop_->run_until([&] { return marker.use_count() == 1; });
  EXPECT_EQ(calls, 0);
}

TEST_F(EventLoopTest, ManyWatchesComeAndGo) {
  Pair pair;
  auto marker = std::make_shared<int>(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::unique_ptr<Watch>> watches;
    int calls = 0;
    for (int i = 0; i < 50; ++i) {
      watches.push_back(std::make_unique<Watch>(*loop_, pair.near(), POLLIN,
                                                [&calls, marker](std::uint32_t) { ++calls; }));
    }
    pair.send("x");
    loop_->run_until([&] { return calls >= 50; });
    pair.receive();
  }
  loop_->run_until([&] { return marker.use_count() == 1; });
}

Task<void> sleep_often(Executor* executor, int times, Nanos each) {
  for (int i = 0; i < times; ++i) co_await executor->sleep(each);
}

// What a loop does whose spins are bounded by `spin`.
class SpinningLoopTest : public EventLoopTest {
 protected:
  void spin_for(Nanos spin) {
    loop_ = std::move(*EventLoop::create(spin));
    spin_ = &loop_->spin();
  }
  void sleep(int times, Nanos each) {
    loop_->spawn(sleep_often(loop_.get(), times, each));
    run_spawned();
  }
  const Spin* spin_ = nullptr;
};

// Longer than any wait of a test.
constexpr Nanos kForever = 600 * kSecond;

TEST_F(SpinningLoopTest, DoesNotSpinUnlessToldTo) {
  sleep(5, kMillisecond);
  EXPECT_EQ(loop_->spin().spins(), 0u);
}

TEST_F(SpinningLoopTest, ATimerEndsASpin) {
  spin_for(kForever);
  constexpr int kTimes = 5;
  sleep(kTimes, kMillisecond);
  EXPECT_GE(spin_->spins(), kTimes - 1u);
  EXPECT_EQ(spin_->spins_paid(), spin_->spins());
  EXPECT_GE(spin_->spun(), (kTimes - 1) * kMillisecond / 2);
}

TEST_F(SpinningLoopTest, WhatComesEndsASpin) {
  spin_for(kForever);
  sleep(1, kMillisecond);
  Pair pair;
  std::string got;
  Watch watch(*loop_, pair.near(), POLLIN, [&](std::uint32_t) { got += pair.receive(); });
  loop_->turn(false);
  std::thread sender([&] { pair.send("bytes"); });
  loop_->run_until([&] { return got == "bytes"; });
  sender.join();
  int ran = 0;
  for (int i = 1; i <= 100; ++i) {
    std::thread caller([&] { loop_->run_on_loop([&] { ++ran; }); });
    loop_->run_until([&] { return ran == i; });
    caller.join();
  }
  EXPECT_GT(spin_->spins(), 0u);
  EXPECT_EQ(spin_->spins_paid(), spin_->spins());
}

TEST_F(SpinningLoopTest, SleepsWhenASpinIsInVain) {
  spin_for(kMillisecond);
  while (spin_->spins() == spin_->spins_paid()) {
    sleep(1, 0);
    sleep(1, 10 * kMillisecond);
  }
}

TEST_F(SpinningLoopTest, DoesNotSpinWhereWaitsAreLong) {
  spin_for(1);
  sleep(5, 10 * Spin::kWaking);
  EXPECT_EQ(spin_->spins(), 0u);
}

// Entries that were prepared before are under way meanwhile.
TEST_F(SpinningLoopTest, SubmitsBeforeItSpins) {
  spin_for(kForever);
  sleep(1, kMillisecond);
  Pair pair;
  pair.send("ready");
  std::string got;
  Watch watch(*loop_, pair.near(), POLLIN, [&](std::uint32_t) { got += pair.receive(); });
  loop_->run_until([&] { return got == "ready"; });
  EXPECT_EQ(spin_->spins_paid(), spin_->spins());
}

// Freed by the loop's destructor, not left to leak.
TEST_F(EventLoopTest, LoopMayEndRightAfterItsWatches) {
  Pair pair;
  auto marker = std::make_shared<int>(7);
  const auto hold = [marker](std::uint32_t) {};
  {
    Watch armed(*loop_, pair.near(), POLLIN, hold);
    loop_->turn(false);
    std::vector<std::unique_ptr<Watch>> fresh;
    for (int i = 0; i < 600; ++i) {
      fresh.push_back(std::make_unique<Watch>(*loop_, pair.near(), POLLIN, hold));
    }
  }
  loop_.reset();
  EXPECT_EQ(marker.use_count(), 2);  // here and in `hold`
}

}  // namespace
}  // namespace scalio
