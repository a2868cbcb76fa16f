#include "baseline/ditto/object_pool.h"

#include <algorithm>

#include "base/assert.h"

namespace scalio::ditto {

void ObjectPool::add_segment(std::uint64_t offset) {
  while (segment_units_ > 0) {  // of the one before, which had no room for what was asked for
    const auto units =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(segment_units_, kMaxUnits));
    free_units_ -= units;
    segment_units_ -= units;
    give(segment_at_, units);
    segment_at_ += units * kUnit;
  }
  if (free_units_ + kSegmentSize / kUnit > limit_) return;
  segment_at_ = offset;
  segment_units_ = kSegmentSize / kUnit;
  free_units_ += segment_units_;
}

std::optional<std::uint64_t> ObjectPool::take(std::uint32_t units) {
  SCALIO_ASSERT(units > 0 && units <= kMaxUnits);
  if (segment_units_ >= units) {
    const std::uint64_t offset = segment_at_;
    segment_at_ += units * kUnit;
    segment_units_ -= units;
    free_units_ -= units;
    return offset;
  }
  for (auto it = free_.lower_bound(units); it != free_.end(); ++it) {
    if (it->second.empty()) continue;
    const std::uint64_t offset = it->second.front();
    it->second.pop_front();
    free_units_ -= it->first;
    if (it->first > units) give(offset + units * kUnit, it->first - units);
    return offset;
  }
  return std::nullopt;
}

void ObjectPool::give(std::uint64_t offset, std::uint32_t units) {
  SCALIO_ASSERT(units > 0 && units <= kMaxUnits);
  if (free_units_ + units > limit_) return;
  free_[units].push_back(offset);
  free_units_ += units;
}

}  // namespace scalio::ditto
