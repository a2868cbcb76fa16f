// RecoveryMemory: how a recovery divides the memory that it may take. Reading the log and reading
// buckets take turns, but what they read to may stay the process's for a while: so both count.
#pragma once

#include <algorithm>
#include <cstdint>

#include "layout/geometry.h"
#include "layout/log.h"
#include "server/recovery_table.h"
#include "store/log_scan.h"
#include "store/ring_reader.h"

namespace scalio::server {

struct RecoveryMemory {
  // Reads of buckets at a time: what an SSD needs to be busy.
  static constexpr std::uint64_t kParallel = 64;
  static constexpr std::uint64_t kLeastParallel = 4;

  // `memory` in bytes: as much together, or a little more if it cannot do with so little.
  RecoveryMemory(const layout::SsdGeometry& g, std::uint64_t memory)
      : reads(storage::RingReads::within(memory * 3 / 8, layout::max_batch(g), g.log_size)),
        task(g.bucket_size + storage::record_storage(g, largest_image(g))),
        parallel(std::clamp(memory / 8 / task, kLeastParallel, kParallel)) {
    const std::uint64_t rest = reads.memory(layout::max_batch(g)) + parallel * task;
    table = memory - std::min(memory, rest);
  }

  storage::RingReads reads;
  std::uint64_t task;  // bytes of one of those that run in parallel
  std::uint64_t parallel;
  std::uint64_t table;  // bytes
};

}  // namespace scalio::server
