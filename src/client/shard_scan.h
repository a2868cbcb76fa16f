// ShardScan: the records of a part of one shard, found by a client's reads alone (rule 13).
#pragma once

#include <scalio/client.h>

#include <memory>

#include "client/shard_link.h"
#include "client/slot_records.h"
#include "client/ssd.h"
#include "task/deadlines.h"

namespace scalio::client {

class ShardScan {
 public:
  // Link and SSD outlive it.
  ShardScan(Executor& executor, ShardLink& link, Ssd& ssd, const ClientOptions& options);

  // Home buckets from `first` to before `end`, of which there are so many. What exists throughout
  // is in the page, once, with a value that it has meanwhile; nothing that never existed. The
  // page's `rest` is left to the caller. Ends within the operation timeout.
  Task<Result<ScanPage>> read(std::uint64_t first, std::uint64_t end);

  const ClientCounters& counters() const { return counters_; }
  // Of the homes with records in other buckets: taken from one large read; read once more.
  struct SpilledHomes {
    std::uint64_t taken_at_once = 0, read_again = 0;
  };
  const SpilledHomes& spilled_homes() const { return spilled_homes_; }

 private:
  Task<Result<ScanPage>> read_slowly(std::uint64_t first, std::uint64_t end, Nanos deadline);
  Task<Result<ScanPage>> read_halves(std::uint64_t first, std::uint64_t end, Nanos deadline);
  Task<Result<bool>> settle(ShardConnection& link, Nanos began, Nanos deadline, ScanPage& page);
  Task<Result<SlotRecords>> slot_records(std::shared_ptr<ShardConnection> held, std::uint64_t first,
                                         std::uint64_t end, Nanos deadline);

  Executor& executor_;
  ShardLink& link_;
  Ssd& ssd_;
  const Nanos timeout_;
  const Deadlines deadlines_;
  ClientCounters counters_;
  SpilledHomes spilled_homes_;
};

}  // namespace scalio::client
