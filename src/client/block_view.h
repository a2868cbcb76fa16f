// BlockView: one snapshot of a hash block, and what it says about a key (rule 4).
#pragma once

#include <algorithm>
#include <optional>

#include "layout/hash_block.h"

namespace scalio::client {

class BlockView {
 public:
  // `bytes` is the block as it was read, which may have been while it was written.
  BlockView(const layout::RegionGeometry& geometry, std::uint64_t block, ByteView bytes)
      : geometry_(geometry), block_(block), bytes_(bytes) {}

  enum class Found : std::uint8_t {
    record,    // a readable slot has the key
    replaced,  // a write slot with its tag is being written: read again, never fall through
    filling,   // a client is reading the key (or one of the same tag) from SSD: slot() says where
    none,
  };
  // The key's record, or what is known of it. slot() is that of the record or the filling client.
  Found look_up(std::string_view key, std::uint32_t tag) {
    // A DIRTY or CLEAN write slot wins over every read slot.
    for (std::uint32_t i = 0; i < geometry_.write_slots; ++i) {
      const auto w = layout::WriteWord::unpack(word(geometry_.write_word(i)));
      if (w.tag != tag || !w.readable()) continue;
      record_ = body(geometry_.read_slots + i, w.generation,
                     load<std::uint32_t>(bytes_.data() + geometry_.upper_checksum(i)));
      if (!record_) return Found::replaced;
      slot_ = geometry_.read_slots + i;
      if (record_->key == key) return Found::record;
    }
    bool filling = false;
    for (std::uint32_t i = 0; i < geometry_.read_slots; ++i) {
      const auto w = read_word(i);
      if (w.tag != tag || !w.visible) continue;
      if (w.complete) {
        record_ = body(i, w.generation);
        slot_ = i;
        if (record_ && record_->key == key) return Found::record;
      } else {
        filling = true;
        filling_slot_ = i;
      }
    }
    if (filling) slot_ = filling_slot_;
    return filling ? Found::filling : Found::none;
  }
  const layout::RecordView& record() const { return *record_; }
  std::uint32_t slot() const { return slot_; }

  std::uint64_t read_word_raw(std::uint32_t i) const { return word(geometry_.read_word(i)); }
  layout::ReadWord read_word(std::uint32_t i) const {
    return layout::ReadWord::unpack(read_word_raw(i));
  }
  // Clock units since a slot was last touched or filled; a hint (anyone may write the clocks).
  std::uint32_t age(std::uint32_t slot, std::uint32_t now) const {
    const auto touched = load<std::uint32_t>(bytes_.data() + geometry_.clock(slot));
    const std::uint32_t filled =
        read_word(slot).filled | layout::slot_filled(bytes_.subspan(geometry_.body(slot)));
    return std::min(layout::clock_age(now, touched), layout::clock_age(now, filled));
  }

 private:
  std::uint64_t word(std::uint32_t offset) const {
    return load<std::uint64_t>(bytes_.data() + offset);
  }
  std::optional<layout::RecordView> body(std::uint32_t slot, std::uint16_t generation,
                                         std::optional<std::uint32_t> upper_checksum = {}) const {
    return layout::decode_slot(bytes_.subspan(geometry_.body(slot), geometry_.slot_size),
                               layout::slot_place(block_, slot, generation), upper_checksum);
  }

  const layout::RegionGeometry& geometry_;
  const std::uint64_t block_;
  const ByteView bytes_;
  std::optional<layout::RecordView> record_;
  std::uint32_t slot_ = 0;
  std::uint32_t filling_slot_ = 0;
};

}  // namespace scalio::client
