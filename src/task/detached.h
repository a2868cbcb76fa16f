// Detached: a coroutine that nobody awaits and, unlike Executor::spawn's tasks, nobody counts: for
// work that an object of this layer posts to its loop, and that holds the object until it has run.
#pragma once

#include <coroutine>
#include <exception>

namespace scalio {

struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

}  // namespace scalio
