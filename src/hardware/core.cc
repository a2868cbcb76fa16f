#include "hardware/core.h"

#include <utility>

#include "hardware/counted.h"

namespace scalio::hardware {

namespace {
// How long a thread keeps a lane that others wait for: Linux's slice on two cores (EEVDF).
constexpr Nanos kSlice = 1400 * kMicrosecond;
}  // namespace

void Core::happen(std::uint64_t what) {
  if (turns_) {
    if (what == kOthers) {
      --taken_;
      --active_;
    } else if (what != 0) {
      turn_over(*std::bit_cast<ModelThread*>(what));
    }
    return run_turns();
  }
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
  step(work);
  busy_ += spent_ - left_;
  thread.busy_ += spent_ - left_;
  free_at_[lane_] = queue_.now() + spent_ / 1000;
  left_ = spent_ % 1000;
  spent_ = 0;
  running_ = false;
  lane_ = (lane_ + 1) % lanes_;
}

void Core::step(const Work& work) {
  if (work.arrival != nullptr) {
    work.arrival->arrive(*work.thread);
  } else {
    work.thread->resume(work.coroutine, work.kind);
  }
}

// --- Turns --------------------------------------------------------------------------------------

void Core::add_to_turn(const Work& work) {
  ModelThread& thread = *work.thread;
  thread.inbox_.push_back(work);
  if (thread.turn_state_ != ModelThread::TurnState::asleep) return;
  thread.turn_state_ = ModelThread::TurnState::runnable;
  thread.slept_ = true;
  thread.ran_ = 0;
  runnable_.push_back(&thread);
  // Not now: this may be a step of another thread.
  if (taken_ < lanes_) queue_.at(queue_.now(), *this, 0);
}

void Core::turn_over(ModelThread& thread) {
  --taken_;
  if (thread.inbox_.empty()) {
    thread.turn_state_ = ModelThread::TurnState::asleep;
    return;
  }
  thread.turn_state_ = ModelThread::TurnState::runnable;
  if (thread.ran_ < kSlice) {
    runnable_.push_front(&thread);
  } else {
    thread.ran_ = 0;
    runnable_.push_back(&thread);
  }
}

void Core::run_turns() {
  while (taken_ < lanes_ && !runnable_.empty()) {
    ModelThread& thread = *runnable_.front();
    runnable_.pop_front();
    run_turn(thread);
  }
  // Who sleeps much has the lane before those who never do.
  for (; taken_ < lanes_ && active_ < others_; ++taken_, ++active_) {
    queue_.at(queue_.now() + kSlice, *this, kOthers);
  }
}

void Core::run_turn(ModelThread& thread) {
  SCALIO_ASSERT(thread.turn_state_ == ModelThread::TurnState::runnable);
  thread.turn_state_ = ModelThread::TurnState::in_turn;
  ++taken_;
  spent_ = 0;
  thread.submitted_ = 0;
  if (std::exchange(thread.slept_, false)) thread.charge(Cost::wake);
  thread.charge(Cost::turn);
  // What comes meanwhile is the next turn's.
  for (std::size_t n = thread.inbox_.size(); n > 0; --n) {
    const Work work = thread.inbox_.front();
    thread.inbox_.pop_front();
    step(work);
  }
  for (std::size_t i = 0; i < thread.parts_.size(); ++i) thread.parts_[i]->turn_ends();
  thread.parts_.clear();
  busy_ += spent_;
  thread.busy_ += spent_;
  const Nanos end = now();
  thread.ran_ += end - queue_.now();
  spent_ = 0;
  queue_.at(end, *this, std::bit_cast<std::uint64_t>(&thread));
}

void ModelThread::at_turn_end(TurnPart& part) {
  struct Nothing final : Arrival {
    void arrive(ModelThread&) override {}
  };
  static Nothing nothing;
  parts_.push_back(&part);
  if (turn_state_ == TurnState::asleep) core_.add({this, nullptr, &nothing, StepKind::other});
}

void ModelThread::resume(void* coroutine, StepKind kind) {
  charge_own(kind);
  counted::resume(role_, kind, charging_, coroutine);
}

}  // namespace scalio::hardware
