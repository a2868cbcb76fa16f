// WaitGroup: waits for tasks that run beside each other.
#pragma once

#include <coroutine>
#include <utility>

#include "task/executor.h"

namespace scalio {

// One coroutine waits. The group must live until all of its tasks have ended.
class WaitGroup {
 public:
  explicit WaitGroup(Executor& executor) : executor_(executor) {}
  ~WaitGroup() { SCALIO_ASSERT(running_ == 0); }
  WaitGroup(const WaitGroup&) = delete;
  WaitGroup& operator=(const WaitGroup&) = delete;

  // Starts a task that is waited for.
  void spawn(Task<void> task) {
    add();
    executor_.spawn(carry(*this, std::move(task)));
  }
  // The same for a task that says by itself when it ends: an add() before it, a done() in it.
  void add() { ++running_; }
  void done() {
    if (--running_ == 0 && waiter_) executor_.post(std::exchange(waiter_, nullptr));
  }

  // Until all have ended.
  auto wait() {
    struct Awaiter {
      WaitGroup& group;
      bool await_ready() const noexcept { return group.running_ == 0; }
      void await_suspend(std::coroutine_handle<> h) noexcept { group.waiter_ = h; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  static Task<void> carry(WaitGroup& group, Task<void> task) {
    co_await std::move(task);
    group.done();
  }

  Executor& executor_;
  std::size_t running_ = 0;
  std::coroutine_handle<> waiter_;
};

}  // namespace scalio
