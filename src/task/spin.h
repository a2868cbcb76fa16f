// Spin: whether a thread that has nothing to do looks for what it waits for before it sleeps.
//
// To be woken takes longer than an exchange between two threads that are awake, on a virtual
// machine many times as long. To look takes a core. So a wait spins for no longer than a bound, and
// only if the wait before it was short: then what is awaited is likely to come in time again. A
// thread that is idle has spun once, for the bound, and sleeps.
//
// It learns from what comes. A spin in vain lets the next chance pass, a second one in a row the
// next 3, then 7, up to kMostPassed; one that pays forgets them. So where spinning does not help
// it costs one bound in so many short waits: also where what is awaited cannot come before this
// thread leaves its core.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "task/executor.h"

namespace scalio {

class Spin {
 public:
  // A bound of 0: never. Of a thread that waits; what says so may be called by any.
  explicit Spin(Nanos bound) : bound_(bound) {}

  // The longest that a caller may take: more is no exchange that somebody is about to answer.
  static constexpr Nanos kMostBound = kMillisecond;
  // Waking counts as waiting for a thread that slept, and should not keep it from its first spin.
  static constexpr Nanos kWaking = 100 * kMicrosecond;
  static constexpr unsigned kMostPassed = 63;

  Nanos bound() const { return bound_; }

  // Whether the wait that begins should spin. If so, it says which of these came of it.
  bool begins() {
    if (bound_ == 0 || !short_) return false;
    if (to_pass_ == 0) return true;
    --to_pass_;
    return false;
  }
  // What was awaited came.
  void paid(Nanos spun) {
    passed_ = 0;
    count(spun);
    add(paid_, 1);
  }
  void in_vain(Nanos spun) {
    passed_ = std::min(2 * passed_ + 1, kMostPassed);
    to_pass_ = passed_;
    count(spun);
  }
  // A wait has ended that slept, after so long in all.
  void slept(Nanos waited) { short_ = waited <= bound_ + kWaking; }

  // For any thread.
  std::uint64_t spins() const { return spins_.load(std::memory_order_relaxed); }
  std::uint64_t spins_paid() const { return paid_.load(std::memory_order_relaxed); }
  Nanos spun() const { return spun_.load(std::memory_order_relaxed); }

 private:
  // One thread writes: so what it adds needs no locked instruction.
  static void add(std::atomic<std::uint64_t>& to, std::uint64_t n) {
    to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void count(Nanos spun) {
    add(spins_, 1);
    add(spun_, spun);
  }

  const Nanos bound_;
  bool short_ = false;    // the last wait that slept
  unsigned passed_ = 0;   // chances, after the last spin, which was in vain
  unsigned to_pass_ = 0;  // of them
  std::atomic<std::uint64_t> spins_{0}, paid_{0}, spun_{0};
};

}  // namespace scalio
