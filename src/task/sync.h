// Waiting between coroutines of one executor.
#pragma once

#include <coroutine>

#include "task/executor.h"

namespace scalio {

// A FIFO of suspended coroutines. Waiters re-check their condition after waking: it may have
// changed between the wake and the resumption. The links are in the waiters' frames, so waiting
// takes no memory.
class WaitList {
  struct Waiter {
    std::coroutine_handle<> handle;
    Waiter* next = nullptr;
  };

 public:
  explicit WaitList(Executor& executor) : executor_(executor) {}
  ~WaitList() { SCALIO_ASSERT(empty()); }
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  auto wait() {
    struct Awaiter : Waiter {
      explicit Awaiter(WaitList& l) : list(l) {}
      Awaiter(const Awaiter&) = delete;
      Awaiter& operator=(const Awaiter&) = delete;
      WaitList& list;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) {
        this->handle = h;
        list.add(*this);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter(*this);
  }
  void wake_one() {
    if (empty()) return;
    Waiter* const first = first_;
    first_ = first->next;
    --size_;
    executor_.post(first->handle);
  }
  void wake_all() {
    while (!empty()) wake_one();
  }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

 private:
  void add(Waiter& waiter) {
    (empty() ? first_ : last_->next) = &waiter;
    last_ = &waiter;
    ++size_;
  }

  Executor& executor_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  std::size_t size_ = 0;
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
