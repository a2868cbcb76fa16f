// What a restarted server would serve of one shard, read from its SSD without a server.
//
// The buckets are read once, in order, in large reads, each as its newest image in the log has it.
// Over them goes what the log has that is newer, by the rules and the passes of recovery
// (server/recovery.h). Nothing is written. What is damaged is left out, and told; all else is
// there.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "block/salvage_device.h"
#include "layout/geometry.h"
#include "layout/log_key.h"
#include "layout/record.h"
#include "store/findings.h"

namespace scalio::server {

// The records of home buckets from `first` to before `end`: values, and pointers to large ones, in
// no order, each key once. Views that are valid until `take` has ended.
struct StoredPart {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  bool whole = true;  // these are all: nothing is damaged there, or in another part
  std::vector<layout::RecordView> records;
};

struct StoredOptions {
  // Of the shard's log; without it the log is left out, and told as damage.
  std::optional<layout::LogKey> key;
  std::uint64_t time = 0;           // what has ended by then, or by the log's time, is left out
  std::uint64_t memory = 64 << 20;  // bytes, for where the newest records in the log are
  std::function<Task<Status>(const StoredPart&)> take;
  // Told which part is done, from 0 to 1.
  std::function<void(double)> on_progress = [](double) {};
};

// Calls `take` with all of a shard, and adds to `damage` what is missing and where. Failures: those
// of `take`; invalid (a record that only a later release serves); corrupt (the log is another one
// each time it is read); io_error; unavailable (memory).
Task<Status> read_stored(Executor& executor, block::SalvageDevice& device,
                         const layout::SsdGeometry& geometry, StoredOptions options,
                         storage::Findings& damage);

}  // namespace scalio::server
