// Pause: a sleep of one coroutine that others may end before its time.
#pragma once

#include <coroutine>
#include <utility>

#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

// Awaited once, by who made it. Belongs to the loop's thread.
class [[nodiscard]] Pause {
 public:
  // `current` is this while it lives, for those that end it. What is `over` does not sleep.
  Pause(EventLoop& loop, Nanos until, bool over, Pause*& current)
      : loop_(loop), until_(until), over_(over), current_(current), timer_(loop, [this] {
          wake();
        }) {
    timer_.arm(until_);
    current_ = this;
  }
  ~Pause() { current_ = nullptr; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

  void wake() {
    timer_.cancel();
    if (waiter_) loop_.post(std::exchange(waiter_, nullptr));
  }
  void end_by(Nanos when) {
    if (until_ > when && waiter_) timer_.arm(until_ = when);
  }
  bool await_ready() const noexcept { return over_; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  void await_resume() const noexcept {}

 private:
  EventLoop& loop_;
  Nanos until_;
  const bool over_;
  Pause*& current_;
  Timer timer_;
  std::coroutine_handle<> waiter_;
};

}  // namespace scalio::nvmf
