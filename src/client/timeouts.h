// Timeouts of ClientOptions and ends of records, as callers have them and as the layers below do.
#pragma once

#include <scalio/client.h>

#include <algorithm>
#include <chrono>

#include "layout/message.h"
#include "task/executor.h"

namespace scalio::client {

// `time` in nanoseconds: 0 if it is negative, a hundred years if it is more than that, so that it
// can be added to any time of a clock.
inline Nanos to_nanos(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kForever = std::chrono::hours(100 * 365 * 24);
  return static_cast<Nanos>(std::clamp(time, std::chrono::milliseconds(0), kForever).count()) *
         kMillisecond;
}

// The end of a record as the formats have it, and as callers have it.
inline EndTime end_of(std::uint64_t end) {
  return EndTime(std::chrono::nanoseconds(static_cast<std::int64_t>(end)));
}
inline std::uint64_t end_of(EndTime end) {
  return static_cast<std::uint64_t>(end.time_since_epoch().count());
}

inline void set_expiry(layout::Request& request, Expiry expiry) {
  request.end = static_cast<std::uint64_t>(expiry.time.count());
  request.end_is_relative = expiry.from_now && request.end != 0;
}

}  // namespace scalio::client
