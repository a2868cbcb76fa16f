// SegmentIndex: LEED's index in memory, 5 bytes for each bucket id: how many buckets its segment
// has, and the block of the bucket log where they begin.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace scalio::leed {

class SegmentIndex {
 public:
  explicit SegmentIndex(std::uint32_t ids) : lengths_(ids), slots_(ids) {}

  std::uint32_t ids() const { return static_cast<std::uint32_t>(lengths_.size()); }
  // 0: the id has no segment.
  std::uint32_t length(std::uint32_t id) const { return lengths_[id]; }
  // The first block, counted from the beginning of the ring; of an id that has a segment.
  std::uint32_t slot(std::uint32_t id) const { return slots_[id]; }
  void set(std::uint32_t id, std::uint32_t slot, std::uint32_t length) {
    live_ += length;
    live_ -= lengths_[id];
    lengths_[id] = static_cast<std::uint8_t>(length);
    slots_[id] = slot;
  }
  // Blocks of all segments.
  std::uint64_t live() const { return live_; }

 private:
  std::vector<std::uint8_t> lengths_;
  std::vector<std::uint32_t> slots_;
  std::uint64_t live_ = 0;
};

}  // namespace scalio::leed
