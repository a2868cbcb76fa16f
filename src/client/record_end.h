// Ends of records, as callers have them and as the formats do.
#pragma once

#include <scalio/client.h>

#include <chrono>
#include <cstdint>

#include "layout/message.h"

namespace scalio::client {

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
