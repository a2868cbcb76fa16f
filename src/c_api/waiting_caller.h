// WaitingCaller: a thread that waits for an operation of a client, and meanwhile does what the
// operation asks of it. So what a caller's function takes its time for holds up nothing else of the
// client, and it may wait for the client's other operations.
#pragma once

#include <scalio/scalio.h>
#include <scalio/task.h>

#include <condition_variable>
#include <functional>
#include <mutex>

#include "task/event_loop.h"

namespace scalio::c {

class WaitingCaller {
 public:
  using Work = std::function<void()>;

  // The result of an operation that was begun with end() and this. An exception of the work, which
  // the operation could not learn of, ends the process.
  scalio_result* wait() noexcept;
  // A scalio_done.
  static void end(scalio_result* result, void* caller);

  // By a task of the operation, on `loop`, one at a time: ends when wait() has done the work.
  Task<void> let_do(EventLoop& loop, Work work);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Work work_;
  scalio_result* result_ = nullptr;
};

}  // namespace scalio::c
