// Timer: calls back once at a point of time, unless it is cancelled first. Costs nothing while it
// is not armed, so that an idle loop stays asleep.
//
// It calls back at the end of a turn of the loop: a loop that comes late has then handled what
// arrived in time.
#pragma once

#include <functional>

#include "task/event_loop.h"

namespace scalio {

class Timer {
 public:
  // The callback is called on the loop's thread; it may arm the timer again or destroy it.
  Timer(EventLoop& loop, std::function<void()> callback)
      : loop_(loop), callback_(std::move(callback)) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Calls back at `when`, in place of whatever was armed before.
  void arm(Nanos when);
  void cancel();
  bool armed() const { return shot_ != nullptr; }

 private:
  class Shot;
  EventLoop& loop_;
  std::function<void()> callback_;
  Shot* shot_ = nullptr;  // outlives the timer until the kernel has let go of it
};

}  // namespace scalio
