// run_to_end: a coroutine, run from code that is none.
#pragma once

#include <optional>
#include <utility>

#include "task/event_loop.h"

namespace scalio {

// Runs a task to its end on a loop that nothing else runs.
template <class T>
T run_to_end(EventLoop& loop, Task<T> task) {
  std::optional<T> out;
  auto body = [](Task<T> t, std::optional<T>* result) -> Task<void> {
    result->emplace(co_await std::move(t));
  };
  loop.spawn(body(std::move(task), &out));
  loop.run_until([&] { return out.has_value(); });
  return std::move(*out);
}
inline void run_to_end(EventLoop& loop, Task<void> task) {
  bool done = false;
  auto body = [](Task<void> t, bool* ended) -> Task<void> {
    co_await std::move(t);
    *ended = true;
  };
  loop.spawn(body(std::move(task), &done));
  loop.run_until([&] { return done; });
}

}  // namespace scalio
