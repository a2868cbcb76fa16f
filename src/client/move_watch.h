// MoveWatch: tells of which homes no record has been moved between buckets while these were read,
// by the counts in the region (rule 13).
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <vector>

#include "client/shard_connection.h"
#include "layout/move_count.h"

namespace scalio::client {

class MoveWatch {
 public:
  // Of the homes from `first` to before `end`. Adds what it does to `counters`. Both outlive it.
  MoveWatch(const ShardConnection& link, std::uint64_t first, std::uint64_t end,
            ClientCounters& counters);

  // To be awaited before the buckets are read, and after. The second one may be done again. Where
  // the server tells no counts, or cannot be read, nothing is known.
  Task<void> begin();
  Task<void> look_again();

  // From begin() on: whether no move of the home was under way then.
  bool began_still(std::uint64_t home) const;
  // From look_again() on: whether none was, and none has begun since.
  bool stayed_still(std::uint64_t home) const;

 private:
  using Counts = std::vector<layout::MoveCount>;
  Task<Counts> read();
  std::size_t place_of(std::uint64_t home) const;

  const ShardConnection& link_;
  const layout::RegionGeometry& region_;
  const std::uint64_t homes_;          // of the shard
  std::uint64_t first_ = 0, end_ = 0;  // counts
  ClientCounters& counters_;
  Counts before_, after_;  // none, or all
};

}  // namespace scalio::client
