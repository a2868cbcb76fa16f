// Core and ModelThread: CPUs in virtual time. A thread is the executor of the code that runs on it;
// what is posted to it, or comes to it from outside, is a step, which waits until the core is free.
// A step happens at once as far as others can see, and then keeps its core busy for what it was
// charged. So a core does one thing at a time, and work waits.
#pragma once

#include <bit>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "hardware/costs.h"
#include "hardware/event_queue.h"
#include "task/executor.h"

namespace scalio::hardware {

class ModelThread;

// What comes to a thread from outside.
class Arrival {
 public:
  // As a step of the thread.
  virtual void arrive(ModelThread& thread) = 0;

 protected:
  ~Arrival() = default;
};

class Core final : public EventTarget {
 public:
  // `lanes`: what it does at a time. More than 1 is a core that no machine has, for tests.
  Core(EventQueue& queue, std::string name, int lanes = 1)
      : queue_(queue), name_(std::move(name)), lanes_(lanes) {}

  struct Work {
    ModelThread* thread;
    void* coroutine;   // or
    Arrival* arrival;  // what came
    StepKind kind;
  };
  void add(const Work& work) {
    ready_.push_back(work);
    if (!scheduled_ && !running_) schedule();
  }
  void happen(std::uint64_t) override;

  // By the step that runs.
  void spend(std::uint64_t picoseconds) { spent_ += picoseconds; }
  // As the step that runs sees it.
  Nanos now() const { return queue_.now() + spent_ / 1000; }

  const std::string& name() const { return name_; }
  // How long it has worked, in picoseconds.
  std::uint64_t busy() const { return busy_; }

 private:
  void schedule() {
    scheduled_ = true;
    queue_.at(std::max(queue_.now(), free_at_[lane_]), *this, 0);
  }
  void run(const Work& work);

  EventQueue& queue_;
  const std::string name_;
  const int lanes_;
  std::deque<Work> ready_;
  bool scheduled_ = false;
  bool running_ = false;
  int lane_ = 0;
  Nanos free_at_[2] = {};
  std::uint64_t spent_ = 0;  // by the step that runs, in ps
  std::uint64_t left_ = 0;   // less than a nanosecond, of the steps before
  std::uint64_t busy_ = 0;
};

class ModelThread final : public Executor, public EventTarget {
 public:
  // `sleeps`: it waits for interrupts when it has nothing to do, and polls otherwise. While
  // `charging` is false nothing costs anything.
  ModelThread(EventQueue& queue, Core& core, const Costs& costs, const bool& charging, Role role,
              bool sleeps)
      : queue_(queue),
        core_(core),
        costs_(costs),
        charging_(charging),
        role_(role),
        sleeps_(sleeps) {}

  Nanos now() override { return core_.now(); }
  void post(std::coroutine_handle<> h) override {
    if (catching_ && caught_ == nullptr) {
      caught_ = h.address();
      return;
    }
    core_.add({this, h.address(), nullptr, StepKind::other});
  }
  void post_at(Nanos when, std::coroutine_handle<> h) override {
    if (when <= core_.now()) return post(h);
    queue_.at(when, *this, std::bit_cast<std::uint64_t>(h.address()));
  }
  void happen(std::uint64_t what) override {
    core_.add({this, std::bit_cast<void*>(what), nullptr, StepKind::other});
  }
  // To be called when it comes, not before.
  void add(Arrival& arrival, StepKind kind) { core_.add({this, nullptr, &arrival, kind}); }

  void charge(Cost cost) {
    if (charging_) core_.spend(costs_.of(cost));
  }
  // `share` of a cost for a KiB.
  void charge_bytes(Cost cost, std::uint64_t bytes) {
    if (charging_) core_.spend(costs_.of(cost) * bytes / 1024);
  }
  // What the code does itself in a step that something began.
  void charge_own(StepKind kind) {
    if (!charging_) return;
    core_.spend(costs_.of(role_, kind));
    ++steps_[static_cast<std::size_t>(kind)];
  }

  // In an arrival: `complete` ends an operation whose waiter goes on in this step.
  template <class F>
  void finish(StepKind kind, F complete) {
    catching_ = true;
    complete();
    catching_ = false;
    if (void* waiter = std::exchange(caught_, nullptr)) resume(waiter, kind);
  }
  void resume(void* coroutine, StepKind kind);

  Core& core() { return core_; }
  EventQueue& queue() { return queue_; }
  Role role() const { return role_; }
  bool sleeps() const { return sleeps_; }
  bool charging() const { return charging_; }
  // Steps that were charged so far, by what began them.
  const std::array<std::uint64_t, kStepKinds>& steps() const { return steps_; }

 private:
  EventQueue& queue_;
  Core& core_;
  const Costs& costs_;
  const bool& charging_;
  const Role role_;
  const bool sleeps_;
  bool catching_ = false;
  void* caught_ = nullptr;
  std::array<std::uint64_t, kStepKinds> steps_{};
};

}  // namespace scalio::hardware
