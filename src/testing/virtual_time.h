// VirtualTime: an executor for tests, whose clock goes on when nothing else can: an hour of waiting
// takes no time.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "task/executor.h"

namespace scalio {

class VirtualTime final : public Executor {
 public:
  Nanos now() override { return now_; }
  void post(std::coroutine_handle<> h) override { ready_.push_back(h); }
  void post_at(Nanos when, std::coroutine_handle<> h) override {
    later_.emplace(when > now_ ? when : now_, h);
  }

  // Everything that needs no time to pass.
  void run_ready() {
    while (!ready_.empty()) {
      const std::coroutine_handle<> h = ready_.front();
      ready_.pop_front();
      h.resume();
    }
  }
  // That, and then what comes later, up to this time.
  void run_until(Nanos when) {
    for (run_ready(); !later_.empty() && later_.begin()->first <= when; run_ready()) {
      now_ = later_.begin()->first;
      post(later_.begin()->second);
      later_.erase(later_.begin());
    }
    now_ = when > now_ ? when : now_;
  }
  // Everything, until all is at its end or waits for the test.
  void run() {
    for (run_ready(); !later_.empty(); run_until(later_.begin()->first)) {
    }
  }
  // A task to its end, with whatever waits beside it.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    start(std::move(task), out);
    run();
    SCALIO_ASSERT(out.has_value());
    return *std::move(out);
  }
  // Starts a task, whose result will be in `out`.
  template <class T>
  void start(Task<T> task, std::optional<T>& out) {
    const auto body = [](Task<T> t, std::optional<T>* to) -> Task<void> {
      to->emplace(co_await std::move(t));
    };
    spawn(body(std::move(task), &out));
  }

 private:
  Nanos now_ = kSecond;
  std::deque<std::coroutine_handle<>> ready_;
  std::multimap<Nanos, std::coroutine_handle<>> later_;
};

}  // namespace scalio
