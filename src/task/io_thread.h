// IoThread: a thread that runs an event loop until it is stopped.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "task/event_loop.h"

namespace scalio {

// Runs `fn` on the loop's thread, another one than the caller's, and waits until it has run, and
// what it posted to the loop as well.
void run_and_wait(EventLoop& loop, const std::function<void()>& fn);
// Starts a task on the loop's thread; what it gives is in the future once it has ended.
std::future<Status> begin_on_loop(EventLoop& loop, std::function<Task<Status>()> start);

class IoThread {
 public:
  // `name`, at most 15 characters, is what tools show. `spin` is the loop's. Fails with
  // unavailable.
  static Result<std::unique_ptr<IoThread>> start(const char* name, Nanos spin = 0);
  ~IoThread();  // stop()

  EventLoop& loop() { return *loop_; }
  // Ends the thread; the loop remains, but turns no more. Idempotent.
  void stop();
  // CPU time it has used so far, also after it was stopped.
  Nanos cpu_time() const;

 private:
  explicit IoThread(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
  bool stopping_ = false;  // the thread's
  Nanos cpu_time_ = 0;     // the thread's, until it has ended
};

}  // namespace scalio
