// The machine's wall clock, which may step: for what is told to people, and as a source of store
// time.
#pragma once

#include <chrono>
#include <cstdint>

namespace scalio {

// Nanoseconds since 1970.
inline std::uint64_t wall_time() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace scalio
