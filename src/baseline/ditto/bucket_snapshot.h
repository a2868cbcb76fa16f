// BucketSnapshot: a bucket as one READ brought it, or some in a row.
//
// Where a CPU stands in for the NIC, words beyond the first 192 bytes may come as halves of two
// (fabric/region_access.h). That is a word like any other that has changed meanwhile: a CAS from it
// fails, and what it names is checked.
#pragma once

#include <array>
#include <cstdint>

#include "baseline/ditto/ditto_layout.h"

namespace scalio::ditto {

template <std::uint64_t kBuckets>
class SlotSnapshot {
 public:
  static constexpr std::uint32_t kCount = kBuckets * kSlots;

  explicit SlotSnapshot(const DittoGeometry& geometry) : geometry_(geometry) {}

  // What the READ writes to.
  ByteSpan bytes() { return bytes_; }

  std::uint64_t raw(std::uint32_t slot) const {
    return load<std::uint64_t>(bytes_.data() + slot * kSlotSize);
  }
  SlotWord word(std::uint32_t slot) const { return SlotWord::unpack(raw(slot), geometry_); }
  SlotMetadata metadata(std::uint32_t slot) const {
    return load<SlotMetadata>(bytes_.data() + slot * kSlotSize + kMetadataAt);
  }

 private:
  const DittoGeometry& geometry_;
  std::array<std::byte, kBuckets * kBucketSize> bytes_;
};

using WindowSnapshot = SlotSnapshot<kWindow>;

// Slots by number, in an order.
struct SlotList {
  std::array<std::uint8_t, kSlots> slots{};
  std::uint32_t count = 0;
  void add(std::uint32_t slot) { slots[count++] = static_cast<std::uint8_t>(slot); }
};

class BucketSnapshot : public SlotSnapshot<1> {
 public:
  using SlotSnapshot::SlotSnapshot;

  // The slots below `end` whose objects may be the key's. First those whose metadata say so; but
  // that may be another key's, or not there yet.
  SlotList candidates(std::uint64_t hash, std::uint32_t end = kSlots) const {
    SlotList likely, others;
    for (std::uint32_t i = 0; i < end; ++i) {
      if (SlotWord::fingerprint_in(raw(i)) != fingerprint_of(hash)) continue;
      if (!word(i).is_object()) continue;
      (metadata(i).hash == hash ? likely : others).add(i);
    }
    for (std::uint32_t i = 0; i < others.count; ++i) likely.add(others.slots[i]);
    return likely;
  }
};

}  // namespace scalio::ditto
