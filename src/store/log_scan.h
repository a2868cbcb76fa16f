// What the ring of a log holds: its batches, and the records in them.
//
// Values are bytes that clients choose, and who reads the SSDs can put a copy of a batch into one.
// It has the MAC of its own LSN, so it counts only at its own place in the ring; and there the log
// has gone on since, so it is before the tail.
#pragma once

#include <scalio/status.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "block/block_device.h"
#include "block/buffer.h"
#include "layout/log.h"
#include "store/findings.h"
#include "store/log_position.h"

namespace scalio::storage {

struct LogScan {
  std::vector<layout::BatchHeader> live;  // from the tail on, in order
  LogPosition position;
  Findings damage;  // what is missing, and where

  // Whether live[i] may be incomplete without damage: a crash interrupted it before it was
  // acknowledged. Of each server's batches that can only be the last, after which the next server
  // skipped a lap.
  bool may_be_torn(std::size_t i) const {
    const auto& skips = position.skips;
    return i + 1 == live.size() ||
           std::find(skips.begin(), skips.end(), live[i + 1].lsn) != skips.end();
  }
};

// Reads the whole ring. Failures: io_error; corrupt if there is no batch in it, or batches that
// cannot be of one log.
Task<Result<LogScan>> scan_log(block::BlockDevice& device, const layout::SsdGeometry& geometry,
                               const layout::LogKey& key);

// Reads one live batch into `buffer` (of layout::max_batch), calls `record` for each record of it
// that is intact, and returns how many are not.
Task<Result<std::uint32_t>> read_batch(
    block::BlockDevice& device, const layout::SsdGeometry& geometry, const layout::LogKey& key,
    const layout::BatchHeader& batch, block::Buffer& buffer,
    const std::function<void(const layout::LogRecordView&)>& record);

}  // namespace scalio::storage
