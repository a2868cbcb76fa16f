// InsertCounter: numbers the records that a run inserts, and knows which of them can be read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <vector>

namespace scalio::ycsb {

// Thread-safe. Inserts end in any order; reads must choose only among records whose insert, and
// every one before it, has ended.
class InsertCounter {
 public:
  // Records 0 .. existing-1 are there already.
  explicit InsertCounter(std::uint64_t existing) : next_(existing), existing_(existing) {}

  // The number of the record to insert next.
  std::uint64_t take() { return next_.fetch_add(1, std::memory_order_relaxed); }

  // The insert of a number that take() gave has ended, well or not.
  void ended(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    ended_.push(number);
    std::uint64_t n = existing_.load(std::memory_order_relaxed);
    while (!ended_.empty() && ended_.top() == n) {
      ended_.pop();
      ++n;
    }
    existing_.store(n, std::memory_order_release);
  }

  // Records 0 .. existing()-1 have been inserted. Never decreases.
  std::uint64_t existing() const { return existing_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> existing_;
  std::mutex mutex_;
  // Ended before one with a lower number.
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> ended_;
};

}  // namespace scalio::ycsb
