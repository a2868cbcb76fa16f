// StoreClock: a shard's store time (rule 17): wall time that never goes back and never steps. It
// runs with the machine's monotonic clock, and is slewed towards its wall clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "task/executor.h"

namespace scalio::server {

class StoreClock {
 public:
  // Of its own time it gains or loses one part of so many, while it is not the wall clock's.
  static constexpr Nanos kSlew = 64;

  // `wall_clock` tells ns since 1970.
  StoreClock(Executor& executor, std::function<std::uint64_t()> wall_clock)
      : executor_(executor), wall_clock_(std::move(wall_clock)), last_(executor.now()) {}

  // Goes on with the wall clock's time, but not below `least`.
  void begin(std::uint64_t least) {
    time_ = std::max(least, wall_clock_());
    last_ = executor_.now();
  }

  // ns since 1970.
  std::uint64_t now() {
    const Nanos t = executor_.now(), passed = t - last_;
    last_ = t;
    time_ += passed;
    unslewed_ += passed;
    const std::uint64_t most = unslewed_ / kSlew, wall = wall_clock_();
    unslewed_ %= kSlew;
    if (wall > time_) {
      time_ += std::min(most, wall - time_);
    } else {
      time_ -= std::min(most, time_ - wall);
    }
    return time_;
  }

  // ns, of store time, that the wall clock is behind it.
  std::int64_t ahead() { return static_cast<std::int64_t>(now() - wall_clock_()); }

 private:
  Executor& executor_;
  const std::function<std::uint64_t()> wall_clock_;
  Nanos last_;          // when time_ was right
  Nanos unslewed_ = 0;  // has passed, of less than one part
  std::uint64_t time_ = 0;
};

}  // namespace scalio::server
