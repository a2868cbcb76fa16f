// Recovery: from the log of an SSD back to the state that was acknowledged (docs/formats.md,
// "Log").
#pragma once

#include <scalio/status.h>

#include "server/block_table.h"
#include "server/bucket_store.h"
#include "server/log.h"
#include "server/merger.h"
#include "server/slot_queue.h"
#include "store/findings.h"
#include "store/log_scan.h"

namespace scalio::server {

struct RecoveryReport {
  std::uint64_t batches = 0;
  std::uint64_t images = 0;
  std::uint64_t records_applied = 0;
  double seconds = 0;
  storage::Findings damage;  // acknowledged writes may be missing there
};

// Restores bucket images, starts the log, and puts every write that is in the log and not in its
// bucket into a write slot. Damage in the log is reported; all else is used. Failures: invalid if
// the log has records that only a later release serves; io_error; corrupt.
Task<Result<RecoveryReport>> recover(Executor& executor, block::BlockDevice& device,
                                     const layout::SsdGeometry& geometry, BlockTable& table,
                                     Log& log, BucketStore& buckets, SlotQueue& queue,
                                     Merger& merger);

}  // namespace scalio::server
