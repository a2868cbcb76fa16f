// SampleBlock: a hash block with records at chosen slots, for tests of what reads blocks.
#pragma once

#include "layout/hash_block.h"

namespace scalio::layout {

class SampleBlock {
 public:
  // Block `number` of a region, all of it zero but for the words of free read slots.
  SampleBlock(const RegionGeometry& geometry, std::uint64_t number)
      : geometry_(geometry), number_(number), bytes_(geometry.block_size()) {
    for (std::uint32_t i = 0; i < geometry.read_slots; ++i) {
      store(bytes_.data() + geometry.read_word(i), ReadWord{}.pack());
    }
  }
  void cache(std::uint32_t slot, std::uint32_t tag, const RecordView& record,
             std::uint32_t filled = 0) {
    store(bytes_.data() + geometry_.read_word(slot), ReadWord{true, true, 1, tag, filled}.pack());
    encode_slot(body(slot), record, slot_place(number_, slot, 1),
                static_cast<std::uint16_t>(filled));
  }
  void publish(std::uint32_t index, std::uint32_t tag, const RecordView& record) {
    const std::uint32_t slot = geometry_.read_slots + index;
    store(bytes_.data() + geometry_.write_word(index), WriteWord{WriteState::dirty, 1, tag}.pack());
    store(bytes_.data() + geometry_.upper_checksum(index),
          encode_slot(body(slot), record, slot_place(number_, slot, 1)));
  }
  ByteSpan body(std::uint32_t slot) {
    return ByteSpan(bytes_).subspan(geometry_.body(slot), geometry_.slot_size);
  }
  ByteSpan bytes() { return bytes_; }

 private:
  const RegionGeometry geometry_;
  const std::uint64_t number_;
  Bytes bytes_;
};

}  // namespace scalio::layout
