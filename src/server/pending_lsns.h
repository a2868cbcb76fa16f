// PendingLsns: log records with which something is still to be done. They come in the order of
// their LSNs and go in any.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ring.h"

namespace scalio::server {

class PendingLsns {
 public:
  // An LSN above all that were added before.
  void add(std::uint64_t lsn) {
    SCALIO_ASSERT(entries_.empty() || entries_.back().lsn < lsn);
    entries_.push_back({lsn, false});
    ++size_;
  }
  // One that is pending.
  void remove(std::uint64_t lsn) {
    Entry& entry = entries_[find(lsn)];
    SCALIO_ASSERT(entry.lsn == lsn && !entry.gone);
    entry.gone = true;
    --size_;
    while (!entries_.empty() && entries_.front().gone) entries_.pop_front();
  }
  std::size_t size() const { return size_; }
  std::optional<std::uint64_t> oldest() const {
    return entries_.empty() ? std::nullopt : std::optional(entries_.front().lsn);
  }

 private:
  struct Entry {
    std::uint64_t lsn;
    bool gone;
  };
  // Where an LSN is, if it is there. Most go in the order in which they came.
  std::size_t find(std::uint64_t lsn) const {
    SCALIO_ASSERT(!entries_.empty());
    std::size_t low = 0, high = entries_.front().lsn == lsn ? 0 : entries_.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      entries_[middle].lsn < lsn ? low = middle + 1 : high = middle;
    }
    return low;
  }

  Ring<Entry> entries_;  // those that have gone stay until all before them have
  std::size_t size_ = 0;
};

}  // namespace scalio::server
