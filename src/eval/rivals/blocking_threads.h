// BlockingThreads: threads for calls that block, made by coroutines of event loops.
#pragma once

#include <scalio/status.h>

#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "task/event_loop.h"

namespace scalio::eval {

class BlockingThreads {
 public:
  // Failures: unavailable.
  static Result<std::unique_ptr<BlockingThreads>> start(const char* name, std::uint32_t threads);
  // No call is under way.
  ~BlockingThreads();

  // Thread-safe. What waits is limited by who calls.
  void add(std::function<void()> call);

 private:
  BlockingThreads() = default;
  void thread_main();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// The calls of one loop's coroutines. Used on the loop's thread.
class BlockingCaller {
 public:
  // Both must outlive it.
  BlockingCaller(BlockingThreads& threads, EventLoop& loop) : threads_(threads), loop_(loop) {}
  // No call is waited for. Returns when the threads have let go of the loop, which they wake after
  // the last call may have been taken note of.
  ~BlockingCaller() {
    while (under_way_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
  }

  // `co_await run(call)` calls it on one of the threads, when one is free, and resumes on the loop
  // with what it returns.
  template <class F>
  auto run(F call) {
    struct Awaiter {
      BlockingCaller& caller;
      F call;
      std::optional<decltype(call())> result = {};

      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiter) {
        caller.under_way_.fetch_add(1, std::memory_order_relaxed);
        caller.threads_.add([this, waiter, &to = caller] {
          result.emplace(call());
          to.loop_.run_on_loop([waiter] { waiter.resume(); });
          to.under_way_.fetch_sub(1, std::memory_order_release);
        });
      }
      auto await_resume() { return *std::move(result); }
    };
    return Awaiter{*this, std::move(call)};
  }

 private:
  BlockingThreads& threads_;
  EventLoop& loop_;
  std::atomic<std::uint64_t> under_way_{0};
};

}  // namespace scalio::eval
