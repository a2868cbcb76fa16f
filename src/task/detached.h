// Detached: a coroutine that nobody awaits. Executor::spawn counts its own; an object that posts
// work to its loop holds itself in it until that has run.
#pragma once

#include <scalio/task.h>

#include <coroutine>
#include <exception>

namespace scalio {

struct Detached {
  struct promise_type : detail::PooledFrame {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

}  // namespace scalio
