// Waiting between coroutines of one executor.
#pragma once

#include <coroutine>
#include <deque>

#include "task/executor.h"

namespace scalio {

// A FIFO of suspended coroutines. Waiters re-check their condition after waking: it may have
// changed between the wake and the resumption.
class WaitList {
 public:
  explicit WaitList(Executor& executor) : executor_(executor) {}
  ~WaitList() { SCALIO_ASSERT(waiting_.empty()); }
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  auto wait() {
    struct Awaiter {
      WaitList& list;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) { list.waiting_.push_back(h); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  void wake_one() {
    if (waiting_.empty()) return;
    executor_.post(waiting_.front());
    waiting_.pop_front();
  }
  void wake_all() {
    while (!waiting_.empty()) wake_one();
  }
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

 private:
  Executor& executor_;
  std::deque<std::coroutine_handle<>> waiting_;
};

// A limit on how many coroutines are in a section at once; the others wait in order.
class Semaphore {
 public:
  Semaphore(Executor& executor, std::size_t permits) : permits_(permits), waiters_(executor) {}
  Task<void> acquire() {
    while (permits_ == 0) co_await waiters_.wait();
    --permits_;
  }
  void release() {
    ++permits_;
    waiters_.wake_one();
  }

 private:
  std::size_t permits_;
  WaitList waiters_;
};

}  // namespace scalio
