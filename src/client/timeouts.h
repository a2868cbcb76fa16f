// The timeouts of ClientOptions, as the layers below count time.
#pragma once

#include <algorithm>
#include <chrono>

#include "task/executor.h"

namespace scalio::client {

// `time` in nanoseconds: 0 if it is negative, a hundred years if it is more than that, so that it
// can be added to any time of a clock.
inline Nanos to_nanos(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kForever = std::chrono::hours(100 * 365 * 24);
  return static_cast<Nanos>(std::clamp(time, std::chrono::milliseconds(0), kForever).count()) *
         kMillisecond;
}

}  // namespace scalio::client
