// Recovery: from the log of an SSD back to the state that was acknowledged (docs/formats.md, "Log").
#pragma once

#include <scalio/status.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/block_table.h"
#include "server/log.h"
#include "server/merger.h"

namespace scalio::server {

struct LogScan {
  std::vector<layout::BatchHeader> live;  // from the tail on, in order
  Log::Position position;
  std::vector<std::string> damage;  // what is missing, and where

  // Whether live[i] may be incomplete without damage: a crash interrupted it before it was acknowledged. Of
  // each server's batches that can only be the last, after which the next server skipped a lap.
  bool may_be_torn(size_t i) const {
    const auto& skips = position.skips;
    return i + 1 == live.size() || std::find(skips.begin(), skips.end(), live[i + 1].lsn) != skips.end();
  }
};

// Reads the whole ring. Failures: io_error; corrupt if there is no intact batch in it.
Task<Result<LogScan>> scan_log(block::BlockDevice& device, const layout::SsdGeometry& geometry);

// Reads one live batch into `buffer` (of Log::batch_bytes) and calls `record` for each intact record of it.
// Returns how many are damaged.
Task<Result<uint32_t>> read_batch(block::BlockDevice& device, const layout::SsdGeometry& geometry,
                                  const layout::BatchHeader& batch, block::Buffer& buffer,
                                  const std::function<void(const layout::LogRecordView&)>& record);

struct RecoveryReport {
  uint64_t batches = 0;
  uint64_t images = 0;
  uint64_t records_applied = 0;
  double seconds = 0;
  std::vector<std::string> damage;  // acknowledged writes may be missing there
};

// Restores bucket images, starts the log, and puts every write that is in the log and not in its bucket
// into a write slot. Damage in the log is reported and what is intact is used.
Task<Result<RecoveryReport>> recover(Executor& executor, block::BlockDevice& device,
                                     const layout::SsdGeometry& geometry, BlockTable& table, Log& log,
                                     Merger& merger);

}  // namespace scalio::server
