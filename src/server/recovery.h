// Recovery: from the log of an SSD back to the state that was acknowledged (docs/formats.md,
// "Recovery").
//
// The log is read once, in its order, in large reads; of it stays where the newest record of each
// key and the newest image of each bucket are, in bounded memory. Then each of their buckets is
// read, many at a time: one whose image is not in place gets it, and what it lacks of its keys goes
// into write slots. What does not fit into the memory costs further passes.
#pragma once

#include <scalio/status.h>

#include <functional>

#include "server/block_table.h"
#include "server/bucket_store.h"
#include "server/large_values.h"
#include "server/log.h"
#include "server/merger.h"
#include "server/slot_queue.h"
#include "store/findings.h"

namespace scalio::server {

struct RecoveryReport {
  std::uint64_t batches = 0;
  std::uint64_t records = 0;          // that the log has: writes and images
  std::uint64_t passes = 0;           // over the log
  std::uint64_t buckets_read = 0;     // reads of them; one for each bucket, if all goes well
  std::uint64_t images = 0;           // buckets that were put in place
  std::uint64_t records_applied = 0;  // writes that went into slots
  double seconds = 0;
  storage::Findings damage;  // acknowledged writes may be missing there
};

// The parts of a shard that it works on.
struct RecoveryParts {
  Executor& executor;
  block::BlockDevice& device;
  const layout::SsdGeometry& geometry;
  BlockTable& table;
  Log& log;
  BucketStore& buckets;
  BucketRoom& room;
  SlotQueue& queue;
  Merger& merger;
  Segments& segments;
  LargeValues& values;
};

struct RecoveryOptions {
  std::uint64_t memory = 64 << 20;  // bytes; a little more if it cannot do with so little
  // Told which part is done, from 0 to 1; never less than before.
  std::function<void(double)> on_progress = [](double) {};
};

// Restores bucket images, starts the log, and puts every write that is in the log and not in its
// bucket into a write slot. Damage in the log is reported; all else is used. Failures: invalid if
// the log has records that only a later release serves; io_error; corrupt; unavailable (memory).
Task<Result<RecoveryReport>> recover(RecoveryParts parts, RecoveryOptions options);

}  // namespace scalio::server
