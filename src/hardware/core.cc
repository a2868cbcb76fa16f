#include "hardware/core.h"

#include "hardware/counted.h"

namespace scalio::hardware {

void Core::happen(std::uint64_t) {
  scheduled_ = false;
  while (!ready_.empty()) {
    const Work work = ready_.front();
    ready_.pop_front();
    run(work);
    if (ready_.empty()) return;
    // Without an event of its own if nothing happens before.
    if (free_at_[lane_] > queue_.now()) {
      if (queue_.next() <= free_at_[lane_]) return schedule();
      queue_.advance(free_at_[lane_]);
    }
  }
}

void Core::run(const Work& work) {
  ModelThread& thread = *work.thread;
  const bool was_idle = queue_.now() > free_at_[lane_];
  running_ = true;
  spent_ = left_;
  if (was_idle && thread.sleeps()) thread.charge(Cost::wake);
  thread.charge(Cost::turn);
  if (work.arrival != nullptr) {
    work.arrival->arrive(thread);
  } else {
    thread.resume(work.coroutine, work.kind);
  }
  busy_ += spent_ - left_;
  free_at_[lane_] = queue_.now() + spent_ / 1000;
  left_ = spent_ % 1000;
  spent_ = 0;
  running_ = false;
  lane_ = (lane_ + 1) % lanes_;
}

void ModelThread::resume(void* coroutine, StepKind kind) {
  charge_own(kind);
  counted::resume(role_, kind, charging_, coroutine);
}

}  // namespace scalio::hardware
