// Pipe: something that does one thing after another, such as a link or a NIC's unit for atomics.
#pragma once

#include <algorithm>
#include <cstdint>

#include "task/executor.h"

namespace scalio::hardware {

// A second in picoseconds, divided by a rate. No rate: no time.
inline std::uint64_t picoseconds_each(double per_second) {
  return per_second > 0 ? static_cast<std::uint64_t>(1e12 / per_second) : 0;
}

class WorkPipe {
 public:
  // Takes what arrives at `now` and needs so many picoseconds; when it is done, in ps.
  std::uint64_t take_ps(std::uint64_t now, std::uint64_t work) {
    free_at_ = std::max(free_at_, now) + work;
    busy_ += work;
    return free_at_;
  }
  Nanos take(Nanos now, std::uint64_t work) { return (take_ps(now * 1000, work) + 999) / 1000; }
  std::uint64_t busy() const { return busy_; }  // ps

 private:
  std::uint64_t free_at_ = 0;
  std::uint64_t busy_ = 0;
};

}  // namespace scalio::hardware
