#include "task/timer.h"

#include <liburing.h>

namespace scalio {

// One arming of the timer.
class Timer::Shot final : public RingHandler, public TurnEnd {
 public:
  Shot(Timer& timer, Nanos when) : loop_(timer.loop_), timer_(&timer) {
    when_.tv_sec = static_cast<long long>(when / kSecond);
    when_.tv_nsec = static_cast<long long>(when % kSecond);
    io_uring_prep_timeout(loop_.prepare(this), &when_, 0, IORING_TIMEOUT_ABS);
  }
  void cancel() {
    timer_ = nullptr;
    if (!completed_)
      io_uring_prep_cancel(loop_.prepare(nullptr), static_cast<RingHandler*>(this), 0);
  }
  void on_completion(int, unsigned) override {
    completed_ = true;
    loop_.at_turn_end(this);
  }
  void on_turn_end() override {
    Timer* timer = timer_;
    delete this;
    if (timer == nullptr) return;
    timer->shot_ = nullptr;
    const std::function<void()> callback = timer->callback_;  // which may destroy the timer
    callback();
  }

 private:
  EventLoop& loop_;
  Timer* timer_;  // null once cancelled
  bool completed_ = false;
  __kernel_timespec when_{};
};

void Timer::arm(Nanos when) {
  cancel();
  shot_ = new Shot(*this, when);
}

void Timer::cancel() {
  if (shot_ == nullptr) return;
  shot_->cancel();
  shot_ = nullptr;
}

}  // namespace scalio
