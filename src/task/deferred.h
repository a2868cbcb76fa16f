// Deferred: a function to be called on the loop's next turn, once, however often it was asked for
// in this one. So what many callers want done at the end of a turn, such as a flush, is done for
// all of them.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "task/executor.h"

namespace scalio {

// Belongs to the executor's thread. It may be destroyed at any time, by its own function too; the
// executor must turn once more after that. Scheduling allocates nothing.
class Deferred {
 public:
  Deferred(Executor& executor, std::function<void()> function)
      : executor_(executor),
        state_(std::make_shared<State>(std::move(function))),
        frame_(run(state_).handle) {}
  ~Deferred() {
    state_->gone = true;
    // Else it sees that by itself.
    if (!state_->scheduled && !state_->running) frame_.destroy();
  }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  void schedule() {
    if (std::exchange(state_->scheduled, true)) return;
    executor_.post(frame_);
  }

 private:
  struct State {
    explicit State(std::function<void()> f) : function(std::move(f)) {}
    std::function<void()> function;
    bool scheduled = false;
    bool running = false;
    bool gone = false;
  };
  struct Frame {
    struct promise_type {
      Frame get_return_object() {
        return {std::coroutine_handle<promise_type>::from_promise(*this)};
      }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<> handle;
  };
  // One coroutine for the whole life of the Deferred, resumed for each call.
  static Frame run(std::shared_ptr<State> state) {
    for (;;) {
      co_await std::suspend_always();
      state->scheduled = false;
      if (state->gone) co_return;
      state->running = true;
      state->function();
      state->running = false;
      if (state->gone && !state->scheduled) co_return;
    }
  }

  Executor& executor_;
  const std::shared_ptr<State> state_;
  const std::coroutine_handle<> frame_;
};

}  // namespace scalio
