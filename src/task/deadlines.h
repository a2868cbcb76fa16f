// Deadlines: an operation ends when its caller has waited long enough, whatever it waits for.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "task/executor.h"

namespace scalio {

// Costs nothing while nobody waits.
class Deadlines {
 public:
  explicit Deadlines(Executor& executor) : state_(std::make_shared<State>(executor)) {}

  // What `task` gives if it ends before `deadline`, else nothing. Then it goes on by itself to its
  // own end, and what it gives is dropped: so it must own all that it uses.
  template <class T>
  Task<std::optional<T>> within(Nanos deadline, Task<T> task) {
    const std::shared_ptr<State> state = state_;
    auto run = std::make_shared<Run<T>>();
    state->executor.spawn(carry(state, std::move(task), run));
    if (!run->result) co_await run->wait(*state, deadline);
    co_return std::move(run->result);
  }

 private:
  // Between looks at the time: a sleep cannot be ended, and whoever waits for the executor to be
  // idle waits for this.
  static constexpr Nanos kGlance = 5 * kMillisecond;

  class Wait;
  struct State : std::enable_shared_from_this<State> {
    explicit State(Executor& e) : executor(e) {}
    Executor& executor;
    std::multimap<Nanos, Wait*> waits;  // by deadline
    bool watching = false;
  };
  class Wait {
   public:
    auto wait(State& state, Nanos deadline) {
      struct Awaiter {
        Wait& self;
        State& state;
        const Nanos deadline;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) {
          self.waiter_ = h;
          self.place_ = state.waits.emplace(deadline, &self);
          if (!std::exchange(state.watching, true))
            state.executor.spawn(watch(state.shared_from_this()));
        }
        void await_resume() const noexcept {}
      };
      return Awaiter{*this, state, deadline};
    }
    // The task has ended, or its time.
    void end(State& state) {
      if (!waiter_) return;
      state.waits.erase(place_);
      state.executor.post(std::exchange(waiter_, nullptr));
    }

   private:
    std::coroutine_handle<> waiter_;
    std::multimap<Nanos, Wait*>::iterator place_;
  };
  template <class T>
  struct Run : Wait {
    std::optional<T> result;
  };

  template <class T>
  static Task<void> carry(std::shared_ptr<State> state, Task<T> task, std::shared_ptr<Run<T>> run) {
    T result = co_await std::move(task);
    run->result.emplace(std::move(result));
    run->end(*state);
  }

  static Task<void> watch(std::shared_ptr<State> state) {
    while (!state->waits.empty()) {
      const Nanos glance = state->executor.now() + kGlance;
      co_await state->executor.sleep_until(std::min(state->waits.begin()->first, glance));
      // An executor that comes late may have the answer: it is read in this turn and told in the
      // next.
      co_await state->executor.yield();
      co_await state->executor.yield();
      const Nanos now = state->executor.now();
      while (!state->waits.empty() && state->waits.begin()->first <= now) {
        state->waits.begin()->second->end(*state);
      }
    }
    state->watching = false;
  }

  const std::shared_ptr<State> state_;
};

}  // namespace scalio
