// MoveCounts: tells clients, in the region, of records that move between buckets: before the first
// bucket of a move is written, and after the last (rule 13).
//
// The counts are here, and what stands in the region is a copy. So what a client does to that lasts
// until the next move, or until it is mended.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/move_count.h"
#include "net/limited_log.h"

namespace scalio::server {

class MoveCounts {
 public:
  // DRAM that one takes: in the region and here.
  static constexpr std::uint64_t kBytes = 16;
  // So that a scan beside many writes meets few moves of others' homes; and so that one of its
  // steps reads few counts.
  static constexpr std::uint64_t kMost = 4096, kFewestHomes = 64;

  // `region`: as BlockTable's; `homes` of the shard.
  MoveCounts(const layout::RegionGeometry& geometry, ByteSpan region, std::uint64_t homes);

  // A record of this home is about to be moved; it has been. No bucket is written for it before the
  // one, or after the other. A move that has failed half way never ends.
  void begin(std::uint64_t home);
  void end(std::uint64_t home);

  // Puts right what clients have damaged.
  void mend(Nanos now);
  std::uint64_t damaged() const { return damaged_; }

 private:
  std::byte* at(std::uint64_t i) const { return region_.data() + geometry_.move_count_at(i); }
  void store(std::uint64_t i, const layout::MoveCount& count);

  const layout::RegionGeometry geometry_;
  const ByteSpan region_;
  const std::uint64_t homes_;
  std::vector<std::uint64_t> words_;
  std::uint64_t damaged_ = 0;
  net::LimitedLog warnings_;
};

}  // namespace scalio::server
