// What the ring of a log holds: its batches, and the records in them.
//
// Values are bytes that clients choose, and who can read the SSDs knows the log id: a value can
// hold what looks like a batch. So a batch is believed only where the log can have it, and what
// goes by one has a bound.
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
  Findings damage;        // what is missing, and where
  Findings not_believed;  // what looks like a batch and cannot be one

  // Whether live[i] may be incomplete without damage: a crash interrupted it before it was
  // acknowledged. Of each server's batches that can only be the last, after which the next server
  // skipped a lap.
  bool may_be_torn(std::size_t i) const {
    const auto& skips = position.skips;
    return i + 1 == live.size() ||
           std::find(skips.begin(), skips.end(), live[i + 1].lsn) != skips.end();
  }
};

// Reads the whole ring. Failures: io_error; corrupt if there is no batch in it.
Task<Result<LogScan>> scan_log(block::BlockDevice& device, const layout::SsdGeometry& geometry);

struct BatchContents {
  std::uint32_t damaged = 0;       // records that are not intact
  std::uint32_t not_believed = 0;  // and that are, and that this batch cannot have
};

// Reads one live batch into `buffer` (of layout::max_batch) and calls `record` for each record of
// it that is intact and believed.
Task<Result<BatchContents>> read_batch(
    block::BlockDevice& device, const layout::SsdGeometry& geometry,
    const layout::BatchHeader& batch, block::Buffer& buffer,
    const std::function<void(const layout::LogRecordView&)>& record);

}  // namespace scalio::storage
