// What the clients of a simulation did that a run may be without.
#pragma once

#include <cstdint>

namespace scalio::sim {

struct LoadCounts {
  std::uint64_t batches = 0, batched_writes = 0;
  std::uint64_t multi_gets = 0;
  std::uint64_t end_changes = 0;  // of what is added to; those that are ok
  std::uint64_t begun_anew = 0;   // additions to what had ended
  // Large values that there was no room for; those that were written after the first of these.
  std::uint64_t refused = 0, taken_again = 0;
  // Homes with records in other buckets, of scans: taken from one large read; read once more.
  std::uint64_t taken_at_once = 0, read_again = 0;
};

}  // namespace scalio::sim
