// ObjectPool: a client's share of the region's data: the segments that it was given, and what it
// has evicted and replaced.
//
// Free places are kept by their size, as units: of a workload with one size of objects there is one
// queue. What is larger than asked for is cut; nothing is ever joined again. What has been free the
// longest is used first, so that a client that still reads an object finds it as long as can be.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "baseline/ditto/ditto_layout.h"

namespace scalio::ditto {

// Not thread-safe.
class ObjectPool {
 public:
  // Never holds more than `units`, the region's: places that are given twice (a word in the region
  // was damaged) cannot fill the client's memory.
  explicit ObjectPool(std::uint64_t units) : limit_(units) {}

  void add_segment(std::uint64_t offset);
  // 1 to kMaxUnits units in a row.
  std::optional<std::uint64_t> take(std::uint32_t units);
  void give(std::uint64_t offset, std::uint32_t units);
  std::uint64_t free_units() const { return free_units_; }

 private:
  const std::uint64_t limit_;
  std::uint64_t free_units_ = 0;
  std::uint64_t segment_at_ = 0;  // what is untouched of the newest segment
  std::uint64_t segment_units_ = 0;
  std::map<std::uint32_t, std::deque<std::uint64_t>> free_;  // by units
};

}  // namespace scalio::ditto
