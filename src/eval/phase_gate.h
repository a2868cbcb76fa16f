// PhaseGate: threads that go through the same phases, each when they are all told to.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace scalio::eval {

// Thread-safe.
class PhaseGate {
 public:
  // For the threads. A phase, counted from 1: waits until it is to begin; false if there will be
  // none.
  bool wait_for(std::uint64_t phase) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= phase || closed_; });
    return begun_ >= phase;
  }
  // It has ended here; or, before the first, this thread is ready.
  void arrive() {
    std::lock_guard lock(mutex_);
    ++arrived_;
    changed_.notify_all();
  }

  // For who leads them. The next phase begins.
  void begin() {
    std::lock_guard lock(mutex_);
    ++begun_;
    arrived_ = 0;
    changed_.notify_all();
  }
  // Whether so many have arrived within the time.
  bool all_arrived(std::uint32_t threads, std::chrono::steady_clock::duration time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return arrived_ >= threads; });
  }
  // There are no more phases.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t begun_ = 0;
  std::uint32_t arrived_ = 0;
  bool closed_ = false;
};

}  // namespace scalio::eval
