// Deadlines: an operation ends when its caller has waited long enough, whatever it waits for.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "task/executor.h"

namespace scalio {

// Costs an operation that ends in time no allocation and no turn of the loop. While any lasts, one
// coroutine looks at the time, so those of one executor's owner share one: copies are the same.
class Deadlines {
 public:
  explicit Deadlines(Executor& executor) : state_(std::make_shared<State>(executor)) {}

  Executor& executor() const { return state_->executor; }

  template <class T, class Late>
  class Within;
  // What `task` gives if it ends before `deadline`, else what late() gives. Then the task goes on
  // by itself to its own end, and what it gives is dropped: so it must own all that it uses.
  template <class T, class Late>
  Within<T, Late> within(Nanos deadline, Task<T> task, Late late) const {
    return Within<T, Late>(*state_, deadline, std::move(task), std::move(late));
  }

 private:
  // Between looks at the time: a sleep cannot be ended, and whoever waits for the executor to be
  // idle, or has less time than all before, waits for this. Twice as long each time: where much
  // lasts long, as with a thousand clients on two cores, looking must not be what takes the time.
  static constexpr Nanos kGlance = 5 * kMillisecond, kLongestGlance = 16 * kGlance;

  // Of a ring by deadline, with a head that is no wait.
  struct Link {
    Nanos deadline = 0;
    Link* before = this;
    Link* after = this;
  };
  struct Wait : Link {
    explicit Wait(Nanos d) { deadline = d; }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    // Leaves the task to itself, and lets the waiter go on.
    virtual void give_up() = 0;
    void leave() {
      before->after = after;
      after->before = before;
    }

   protected:
    ~Wait() = default;
  };

  struct State : std::enable_shared_from_this<State> {
    explicit State(Executor& e) : executor(e) {}
    // Looks from the end: most deadlines are the latest so far.
    void add(Wait& wait) {
      Link* at = head.before;
      while (at != &head && at->deadline > wait.deadline) at = at->before;
      wait.before = at;
      wait.after = at->after;
      at->after->before = &wait;
      at->after = &wait;
      if (!std::exchange(watching, true)) executor.spawn(watch(shared_from_this()));
    }
    bool idle() const { return head.after == &head; }

    Executor& executor;
    Link head;
    bool watching = false;
  };

  // Awaits a task that another coroutine has begun to await, in its place.
  template <class T>
  static Task<void> rest(Task<T> task) {
    struct Rest {
      Task<T>& task;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) { task.resume_instead(h); }
      void await_resume() const noexcept {}
    };
    co_await Rest{task};
  }

  static Task<void> watch(std::shared_ptr<State> state) {
    for (Nanos glance = kGlance; !state->idle(); glance = std::min(2 * glance, kLongestGlance)) {
      const Nanos until = state->executor.now() + glance;
      co_await state->executor.sleep_until(std::min(state->head.after->deadline, until));
      if (state->idle() || state->head.after->deadline > state->executor.now()) continue;
      // An executor that comes late may have the answer: it is read in this turn and told in the
      // next.
      co_await state->executor.yield();
      co_await state->executor.yield();
      const Nanos now = state->executor.now();
      while (!state->idle() && state->head.after->deadline <= now) {
        Wait& wait = static_cast<Wait&>(*state->head.after);
        wait.leave();
        wait.give_up();
      }
    }
    state->watching = false;
  }

  const std::shared_ptr<State> state_;
};

// Lives in the frame of the coroutine that awaits it, and is awaited once.
template <class T, class Late>
class [[nodiscard]] Deadlines::Within final : Wait {
 public:
  Within(State& state, Nanos deadline, Task<T> task, Late late)
      : Wait(deadline), state_(state), task_(std::move(task)), late_(std::move(late)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    if (!task_->await_suspend(waiter)) return false;
    waiter_ = waiter;
    state_.add(*this);
    return true;
  }
  T await_resume() {
    if (!task_) return late_();
    if (waiter_) leave();
    return task_->await_resume();
  }

 private:
  void give_up() override {
    state_.executor.spawn(rest(*std::move(task_)));
    task_.reset();
    state_.executor.post(waiter_);
  }

  State& state_;
  std::optional<Task<T>> task_;  // none once it was given up
  Late late_;
  std::coroutine_handle<> waiter_;
};

}  // namespace scalio
