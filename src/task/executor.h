// Executor: the clock and the scheduler that all of Scalio's asynchronous code runs on, and the seam at
// which the simulator puts virtual time. One executor belongs to one thread; nothing here is
// thread-safe.
#pragma once

#include <scalio/task.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"

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
  // Lets everything that is ready run first.
  auto yield() {
    struct Awaiter {
      Executor& executor;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) { executor.post(h); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  struct Detached {
    struct promise_type {
      Detached get_return_object() const noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
  };
  Detached detach(Task<void> task) {
    ++spawned_;
    co_await std::move(task);
    --spawned_;
  }

  std::size_t spawned_ = 0;
};

}  // namespace scalio
