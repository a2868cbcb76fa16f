#include "fabric/timer.h"

#include <liburing.h>

namespace scalio::fabric {

// One arming of the timer.
class Timer::Shot final : public RingHandler {
 public:
  Shot(Timer& timer, Nanos when) : timer_(&timer) {
    when_.tv_sec = static_cast<long long>(when / kSecond);
    when_.tv_nsec = static_cast<long long>(when % kSecond);
    io_uring_prep_timeout(timer.loop_.prepare(this), &when_, 0, IORING_TIMEOUT_ABS);
  }
  void cancel() {
    EventLoop& loop = timer_->loop_;
    timer_ = nullptr;
    io_uring_prep_cancel(loop.prepare(nullptr), static_cast<RingHandler*>(this), 0);
  }
  void on_completion(int, unsigned) override {
    Timer* timer = timer_;
    delete this;
    if (timer == nullptr) return;
    timer->shot_ = nullptr;
    const std::function<void()> callback = timer->callback_;  // which may destroy the timer
    callback();
  }

 private:
  Timer* timer_;  // null once cancelled
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

}  // namespace scalio::fabric
