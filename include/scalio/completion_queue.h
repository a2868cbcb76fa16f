// CompletionQueue: brings the outcomes of a SharedClient's operations to a thread that has an event
// loop of its own: a descriptor to wait for, and poll(), which calls the functions.
//
//   auto queue = scalio::CompletionQueue::create();
//   (*client)->get("key", [](scalio::Result<scalio::Record> r) { ... }, queue->get());
//   // when the loop says that (*queue)->fd() can be read:
//   (*queue)->poll();
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <memory>

namespace scalio {

class CompletionQueue {
 public:
  // `limit`, at least 1: operations that were begun for this queue and not yet brought by poll().
  // What comes beyond it is busy. Failures: invalid (limit), unavailable (descriptors).
  static Result<std::unique_ptr<CompletionQueue>> create(std::size_t limit = 65'536);
  // The functions of what has not been brought are destroyed, and not called.
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  // Can be read (poll(), epoll, io_uring) while there is something to bring. Only to be waited for;
  // the queue's own until it is destroyed.
  int fd() const;

  // Calls the functions of the operations that have ended, in the order in which they did, and
  // returns how many. Does not wait. One thread at a time; a function may begin operations for this
  // queue: those come with a later poll(). It must not throw, poll or destroy this queue.
  std::size_t poll();

 private:
  friend class SharedClient;
  class Impl;
  explicit CompletionQueue(std::shared_ptr<Impl> impl);

  const std::shared_ptr<Impl> impl_;  // shared with the operations that are in flight
};

}  // namespace scalio
