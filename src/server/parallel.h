// Parallel: tasks beside each other, so many at a time.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <utility>

#include "task/sync.h"

namespace scalio::server {

// Runs up to so many tasks beside each other. The first failure is kept. join() before it is
// destroyed.
class Parallel {
 public:
  Parallel(Executor& executor, std::uint64_t tasks)
      : executor_(executor), permits_(executor, tasks), ended_(executor) {}
  Task<void> start(Task<Status> task) {
    co_await permits_.acquire();
    ++running_;
    executor_.spawn(run(std::move(task)));
  }
  const Status& status() const { return status_; }
  Task<Status> join() {
    while (running_ > 0) co_await ended_.wait();
    co_return status_;
  }

 private:
  Task<void> run(Task<Status> task) {
    Status s = co_await std::move(task);
    if (status_.ok()) status_ = std::move(s);
    --running_;
    permits_.release();
    ended_.wake_all();
  }
  Executor& executor_;
  Semaphore permits_;
  WaitList ended_;
  std::uint64_t running_ = 0;
  Status status_;
};

}  // namespace scalio::server
