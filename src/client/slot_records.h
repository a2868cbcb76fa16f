// What the write slots of a region have: what the buckets of the SSD may not have yet.
#pragma once

#include <scalio/client.h>

#include <vector>

#include "client/shard_connection.h"
#include "layout/record.h"
#include "task/executor.h"

namespace scalio::client {

// Records, tombstones among them, as views into the memory beside them.
struct SlotRecords {
  std::vector<layout::RecordView> records;
  std::vector<Bytes> memory;
};

// The records of write slots, DIRTY and CLEAN, with points in [first, last]. What was in a write
// slot before, and is in none when a block's words are read, has been merged (rule 7). A CLEAN one
// is being replaced perhaps, and readers have seen its new body. Failures: unavailable (the
// connection was lost), timed_out (a slot's body did not fit its word until `deadline`). Adds what
// it does to `counters`. The link outlives it.
Task<Result<SlotRecords>> read_slot_records(Executor& executor, const ShardConnection& link,
                                            std::uint64_t first, std::uint64_t last, Nanos deadline,
                                            ClientCounters& counters);

}  // namespace scalio::client
