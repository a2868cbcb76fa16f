// What a CompletionQueue shares with the operations that were begun for it.
#pragma once

#include <scalio/completion_queue.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "net/unique_fd.h"

namespace scalio {

class CompletionQueue::Impl {
 public:
  Impl(net::UniqueFd event, std::size_t limit) : event_(std::move(event)), limit_(limit) {}

  // Any thread. One more operation; false if there are too many.
  bool begin();
  void cancel() { --outstanding_; }  // of one that was not begun after all
  // Any thread. An operation has ended. Once the queue is gone, the function is destroyed.
  void push(std::function<void()> function);
  // The queue's end.
  void close();

  int fd() const { return event_.get(); }
  std::size_t poll();

 private:
  const net::UniqueFd event_;  // can be read while functions_ is not empty
  const std::size_t limit_;
  std::atomic<std::size_t> outstanding_{0};
  std::mutex mutex_;
  std::vector<std::function<void()>> functions_;
  bool closed_ = false;
  std::vector<std::function<void()>> polled_;  // poll()'s; empty: its memory is used again
};

}  // namespace scalio
