// InFlight: how many operations each of several threads has, within a limit, counted by any thread.
//
// Counting takes no lock. Only who waits for room, or until nothing is in flight, sleeps under one,
// and only while somebody does is it taken when an operation ends.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace scalio::client {

class InFlight {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  InFlight(std::size_t threads, std::size_t limit) : counts_(threads), limit_(limit) {}

  // Counts one more for the thread that has the fewest, of equal ones the first from `first` on.
  // Nothing if all have the limit. What is counted ends with both handed() and done().
  std::optional<std::size_t> try_add(std::size_t first);
  // The same, and waits for room until `deadline`, or until close().
  std::optional<std::size_t> add(std::size_t first, Deadline deadline);
  // By the caller of add(): the thread has it, and this caller is done with the thread.
  void handed(std::size_t thread);
  // The operation has ended, which it may have before handed().
  void done(std::size_t thread);

  // From now on closed() is true, for all whose add() comes later or has not returned.
  void close();
  bool closed() const { return closed_.load(); }
  // Until nothing is in flight, and nobody uses a thread any more who had found this not closed.
  void wait_for_none();

 private:
  // Of a cache line each.
  struct alignas(64) Count {
    std::atomic<std::size_t> value{0};
    std::atomic<std::size_t> handing{0};
  };
  bool none() const;
  void wake();

  std::vector<Count> counts_;
  const std::size_t limit_;
  std::atomic<bool> closed_{false};
  // Whoever counts down looks at it after that, and whoever waits looks at the counts after
  // counting itself here: one of the two sees the other.
  std::atomic<std::size_t> waiters_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace scalio::client
