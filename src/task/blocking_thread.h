// BlockingThread: a thread for what may wait as long as it likes, such as a write to a pipe that
// nobody empties. A loop that waited itself would let all its operations run out of time.
#pragma once

#include <scalio/status.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <type_traits>
#include <utility>

#include "task/event_loop.h"

namespace scalio {

class BlockingThread {
 public:
  // For tasks of this loop, which outlives it. `name`, at most 15 characters, is what tools show.
  // Fails with unavailable.
  static Result<std::unique_ptr<BlockingThread>> start(EventLoop& loop, const char* name);
  // All that run() was asked for must have ended.
  ~BlockingThread();
  BlockingThread(const BlockingThread&) = delete;
  BlockingThread& operator=(const BlockingThread&) = delete;

  // Calls `work` on the thread and gives what it returns. One is called after the other, in the
  // order in which they were asked for.
  template <class F>
  Task<std::invoke_result_t<F&>> run(F work) {
    std::optional<std::invoke_result_t<F&>> result;
    const std::function<void()> call = [&] { result.emplace(work()); };
    co_await Called{*this, call};
    co_return *std::move(result);
  }

 private:
  struct Call {
    const std::function<void()>* work;
    std::coroutine_handle<> caller;
  };

  struct Called {
    BlockingThread& thread;
    const std::function<void()>& work;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) { thread.add({&work, h}); }
    void await_resume() const noexcept {}
  };

  explicit BlockingThread(EventLoop& loop) : loop_(loop) {}
  void add(Call call);
  void serve();

  EventLoop& loop_;
  std::mutex mutex_;  // of the next two
  std::queue<Call> calls_;
  bool stopping_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace scalio
