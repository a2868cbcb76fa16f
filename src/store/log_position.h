// LogPosition: where a log goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/ring.h"
#include "layout/bucket.h"
#include "layout/geometry.h"

namespace scalio::storage {

// Starts of batches, from the tail on: there a log's tail may be. Not all of them, so that they
// take little memory however many batches there are.
class BatchStarts {
 public:
  BatchStarts() = default;
  explicit BatchStarts(const layout::SsdGeometry& geometry) : spacing_(geometry.log_size / kMost) {}
  // A batch starts at `lsn`, behind all others.
  void add(std::uint64_t lsn) {
    if (starts_.empty() || lsn - starts_.back() >= spacing_) starts_.push_back(lsn);
  }
  // The last one that is known not to be behind `lsn`; 0 if there is none.
  std::uint64_t last_before(std::uint64_t lsn) const {
    std::size_t begin = 0, end = starts_.size();
    while (begin < end) {
      const std::size_t middle = begin + (end - begin) / 2;
      if (starts_[middle] <= lsn) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return begin == 0 ? 0 : starts_[begin - 1];
  }
  void drop_before(std::uint64_t lsn) {
    while (!starts_.empty() && starts_.front() < lsn) starts_.pop_front();
  }

 private:
  static constexpr std::uint64_t kMost = 4096;  // in a ring
  std::uint64_t spacing_ = 0;
  Ring<std::uint64_t> starts_;
};

struct LogPosition {
  std::uint64_t head = 0;  // the next batch begins here or after
  std::uint64_t tail = 0;
  BatchStarts starts;
  // Each start of a server skips log_size LSNs, that is one lap, and so stays at the same offset:
  // LSNs and versions are never used twice, even if the newest batches were lost to damage. The
  // first LSNs after each skip, from the tail on.
  std::deque<std::uint64_t> skips;
  std::uint64_t version = 0;     // the highest that may have been assigned
  std::uint64_t time = 0;        // store time: the latest that was written
  layout::BucketTotals buckets;  // as the images of the log leave them
};

}  // namespace scalio::storage
