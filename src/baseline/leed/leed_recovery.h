// Recovery: what a restarted engine must know, read from the bucket log: the index, and where each
// log begins and ends.
//
// Of each id the newest segment counts that is whole: positions say which that is. What lies before
// the head that any bucket knows of was dead when that was written, even if what killed it has been
// overwritten since.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <vector>

#include "baseline/leed/bucket_id_log.h"
#include "baseline/leed/segment_index.h"
#include "block/block_device.h"

namespace scalio::leed {

struct Recovered {
  explicit Recovered(std::uint32_t ids) : index(ids) {}

  SegmentIndex index;
  std::uint64_t bucket_head = 0;
  std::uint64_t bucket_tail = 0;
  std::uint64_t value_head = 0;  // blocks
  std::uint64_t value_tail = 0;
  std::uint64_t live_units = 0;
  std::vector<BucketIdLog::Mark> values;  // that live, by their places
};

// Reads the bucket log twice. Failures: io_error; corrupt: a bucket is damaged, or they contradict
// each other.
Task<Result<Recovered>> recover(block::BlockDevice& device, const LeedGeometry& geometry);

// Writes an empty store. What was on the SSD is lost. Failures: invalid, io_error.
Task<Status> format(block::BlockDevice& device, LeedGeometry geometry);

// Of a device that was formatted. Failures: invalid, corrupt, io_error.
Task<Result<LeedGeometry>> read_geometry(block::BlockDevice& device);

}  // namespace scalio::leed
