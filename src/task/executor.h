// Executor: the clock and the scheduler that all of Scalio's asynchronous code runs on, and the
// seam at which the simulator puts virtual time. One executor belongs to one thread; nothing here
// is thread-safe.
#pragma once

#include <scalio/task.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/assert.h"
#include "task/detached.h"

namespace scalio {

// Durations and points of time are nanoseconds. Points are of CLOCK_MONOTONIC in the real executor.
using Nanos = std::uint64_t;
constexpr Nanos kMicrosecond = 1'000;
constexpr Nanos kMillisecond = 1'000'000;
constexpr Nanos kSecond = 1'000'000'000;

class Executor {
 public:
  virtual ~Executor() = default;

  virtual Nanos now() = 0;
  // Resumes `h` on a later turn of the loop, after everything posted before it.
  virtual void post(std::coroutine_handle<> h) = 0;
  // Resumes `h` on the first turn at or after `when`.
  virtual void post_at(Nanos when, std::coroutine_handle<> h) = 0;
  // Whether this process was forked from the executor's own. Here it resumes nothing ever.
  virtual bool forked() const { return false; }

  // Starts a task that nobody awaits. It runs at once until it first suspends.
  void spawn(Task<void> task) { detach(std::move(task)); }
  // Tasks spawned and not yet ended.
  std::size_t spawned() const { return spawned_; }

  auto sleep_until(Nanos when) {
    struct Awaiter {
      Executor& executor;
      Nanos when;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) { executor.post_at(when, h); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, when};
  }
  auto sleep(Nanos duration) { return sleep_until(now() + duration); }
  // Lets everything that is ready run first. Where nothing else can run, it goes on at once.
  auto yield() {
    struct Awaiter {
      Executor& executor;
      bool await_ready() const noexcept { return executor.forked(); }
      void await_suspend(std::coroutine_handle<> h) { executor.post(h); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  // Asked by every operation that may complete at once, without a turn of the loop: false if so
  // many have been done since the last one that it should yield() first.
  bool may_go_on() { return --left_ >= 0; }

 protected:
  void let_go_on(std::int64_t operations) { left_ = operations; }

 private:
  Detached detach(Task<void> task) {
    ++spawned_;
    co_await std::move(task);
    --spawned_;
  }

  std::size_t spawned_ = 0;
  // Without limit where turns are not counted.
  std::int64_t left_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace scalio
