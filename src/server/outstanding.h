// Outstanding: what has begun and not ended, by numbers such as LSNs. It comes in the order of its
// numbers and goes in any.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ring.h"

namespace scalio::server {

class Outstanding {
 public:
  // A number above all that were added before.
  void add(std::uint64_t number) {
    SCALIO_ASSERT(entries_.empty() || entries_.back().number < number);
    entries_.push_back({number, false});
    ++size_;
  }
  // One that is outstanding.
  void remove(std::uint64_t number) {
    Entry& entry = entries_[find(number)];
    SCALIO_ASSERT(entry.number == number && !entry.gone);
    entry.gone = true;
    --size_;
    while (!entries_.empty() && entries_.front().gone) entries_.pop_front();
  }
  std::size_t size() const { return size_; }
  std::optional<std::uint64_t> oldest() const {
    return entries_.empty() ? std::nullopt : std::optional(entries_.front().number);
  }

 private:
  struct Entry {
    std::uint64_t number;
    bool gone;
  };
  // Where a number is, if it is there. Most go in the order in which they came.
  std::size_t find(std::uint64_t number) const {
    SCALIO_ASSERT(!entries_.empty());
    std::size_t low = 0, high = entries_.front().number == number ? 0 : entries_.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      entries_[middle].number < number ? low = middle + 1 : high = middle;
    }
    return low;
  }

  Ring<Entry> entries_;  // those that have gone stay until all before them have
  std::size_t size_ = 0;
};

}  // namespace scalio::server
