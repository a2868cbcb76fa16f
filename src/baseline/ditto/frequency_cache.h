// FrequencyCache: a client's uses of slots that the region does not know of yet, so that ten of
// them cost one atomic operation.
//
// A direct-mapped table. A slot that takes the place of another sends that one's uses off early.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/hash.h"

namespace scalio::ditto {

// Not thread-safe.
class FrequencyCache {
 public:
  // Uses to add to the frequency of a slot.
  struct Uses {
    std::uint64_t slot_at = 0;
    std::uint64_t seen = 0;  // the frequency when it was read last
    std::uint32_t count = 0;
  };
  static constexpr std::uint32_t kCombined = 10;

  // Slots whose uses are kept; 32 B for each.
  explicit FrequencyCache(std::size_t entries) : entries_(entries > 0 ? entries : 1) {}

  // The key of this hash was used in the slot at `slot_at`, whose frequency was read as `seen`.
  // What is to be added to a slot's frequency now: this one's or that of the slot it displaces.
  std::optional<Uses> use(std::uint64_t slot_at, std::uint64_t hash, std::uint64_t seen) {
    Entry& entry = entries_[mix(slot_at) % entries_.size()];
    if (entry.uses.count > 0 && (entry.uses.slot_at != slot_at || entry.hash != hash)) {
      const Uses displaced = entry.uses;
      entry = {{slot_at, seen, 1}, hash};
      return displaced;
    }
    entry = {{slot_at, seen, entry.uses.count + 1}, hash};
    if (entry.uses.count < kCombined) return std::nullopt;
    const Uses full = entry.uses;
    entry = {};
    return full;
  }

 private:
  struct Entry {
    Uses uses;
    std::uint64_t hash = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace scalio::ditto
