// What the clients of a simulation did that a run may be without.
#pragma once

#include <cstdint>

namespace scalio::sim {

struct LoadCounts {
  std::uint64_t batches = 0, batched_writes = 0;
  std::uint64_t multi_gets = 0;
  std::uint64_t end_changes = 0;  // of what is added to; those that are ok
  std::uint64_t begun_anew = 0;   // additions to what had ended
};

}  // namespace scalio::sim
