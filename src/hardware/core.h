// Core and ModelThread: CPUs in virtual time. A thread is the executor of the code that runs on it;
// what is posted to it, or comes to it from outside, is a step, which waits until the core is free.
// A step happens at once as far as others can see, and then keeps its core busy for what it was
// charged. So a core does one thing at a time, and work waits.
//
// Where threads have event loops that sleep in the kernel (`Running::turns`), all steps that are
// there make one turn, whose system calls are charged once. Then the threads of a machine, its
// clients' too, share one Core with as many lanes as there are cores: whoever can run takes the
// lane that is free. Programs that have nothing to do with it may want them as well.
#pragma once

#include <bit>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "hardware/costs.h"
#include "hardware/event_queue.h"
#include "task/executor.h"

namespace scalio::hardware {

class ModelThread;

enum class Running : std::uint8_t { steps, turns };

// What comes to a thread from outside.
class Arrival {
 public:
  // As a step of the thread.
  virtual void arrive(ModelThread& thread) = 0;

 protected:
  ~Arrival() = default;
};

struct Charge {
  std::uint64_t times = 0, picoseconds = 0;
};
struct Charges {
  std::array<Charge, kCosts> outside;
  std::array<Charge, kStepKinds> own;
};

// What a turn has gathered is done with at its end, on the thread, as a part of the turn.
class TurnPart {
 public:
  virtual void turn_ends() = 0;

 protected:
  ~TurnPart() = default;
};

class Core final : public EventTarget {
 public:
  // `lanes`: what it does at a time. A core of steps that has more than 1 is one that no machine
  // has, for tests.
  Core(EventQueue& queue, std::string name, int lanes = 1, Running running = Running::steps)
      : queue_(queue), name_(std::move(name)), lanes_(lanes), turns_(running == Running::turns) {}

  struct Work {
    ModelThread* thread;
    void* coroutine;   // or
    Arrival* arrival;  // what came
    StepKind kind;
  };
  void add(const Work& work) {
    if (turns_) return add_to_turn(work);
    ready_.push_back(work);
    if (!scheduled_ && !running_) schedule();
  }
  // Of turns, `what` is the thread whose turn is over, or 0, or kOthers.
  void happen(std::uint64_t what) override;
  // Of turns: so many threads of other programs want a lane all the time, and keep it for a slice.
  // With any the queue never runs empty.
  void share_with(int others) {
    others_ = others;
    queue_.at(queue_.now(), *this, 0);
  }

  // By the step that runs.
  void spend(std::uint64_t picoseconds) { spent_ += picoseconds; }
  // As the step that runs sees it.
  Nanos now() const { return queue_.now() + spent_ / 1000; }

  const std::string& name() const { return name_; }
  // How long it has worked, in picoseconds, all lanes together.
  std::uint64_t busy() const { return busy_; }

 private:
  void schedule() {
    scheduled_ = true;
    queue_.at(std::max(queue_.now(), free_at_[lane_]), *this, 0);
  }
  void run(const Work& work);
  void step(const Work& work);
  void add_to_turn(const Work& work);
  void turn_over(ModelThread& thread);
  void run_turns();
  void run_turn(ModelThread& thread);

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

  const bool turns_;
  static constexpr std::uint64_t kOthers = 1;
  std::deque<ModelThread*> runnable_;
  int taken_ = 0;   // lanes
  int others_ = 0;  // that want one
  int active_ = 0;  // that have one
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
    if (charging_) spend(charges_.outside[static_cast<std::size_t>(cost)], costs_.of(cost));
  }
  // A cost is for a KiB.
  void charge_bytes(Cost cost, std::uint64_t bytes) {
    if (!charging_) return;
    spend(charges_.outside[static_cast<std::size_t>(cost)], costs_.of(cost) * bytes / 1024);
  }
  // What the code does itself in a step that something began.
  void charge_own(StepKind kind) {
    if (charging_) spend(charges_.own[static_cast<std::size_t>(kind)], costs_.of(role_, kind));
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

  // Of turns: an I/O begins. A loop submits those of a turn together, up to so many at a time.
  static constexpr std::uint64_t kMostSubmitted = 8;
  void submit_io() {
    if (submitted_++ % kMostSubmitted == 0) charge(Cost::submission);
  }
  // Of turns: `part` is called once at this turn's end, or at the next one's if none is under way.
  void at_turn_end(TurnPart& part);
  bool asleep() const { return turn_state_ == TurnState::asleep; }

  Core& core() { return core_; }
  // How long it has worked, in picoseconds.
  std::uint64_t busy() const { return busy_; }
  EventQueue& queue() { return queue_; }
  Role role() const { return role_; }
  bool sleeps() const { return sleeps_; }
  bool charging() const { return charging_; }
  // What was charged so far. Of what it has done itself: by what began the steps.
  const Charges& charges() const { return charges_; }

 private:
  friend class Core;
  void spend(Charge& to, std::uint64_t picoseconds) {
    core_.spend(picoseconds);
    ++to.times;
    to.picoseconds += picoseconds;
  }
  enum class TurnState : std::uint8_t { asleep, runnable, in_turn };

  EventQueue& queue_;
  Core& core_;
  const Costs& costs_;
  const bool& charging_;
  const Role role_;
  const bool sleeps_;
  bool catching_ = false;
  void* caught_ = nullptr;
  Charges charges_;
  std::uint64_t busy_ = 0;

  TurnState turn_state_ = TurnState::asleep;
  bool slept_ = true;
  Nanos ran_ = 0;                // since it was given the core
  std::uint64_t submitted_ = 0;  // I/Os of this turn
  std::deque<Core::Work> inbox_;
  std::vector<TurnPart*> parts_;
};

}  // namespace scalio::hardware
