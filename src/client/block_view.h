// BlockView: one snapshot of a hash block, and what it says about a key (rule 4).
#pragma once

#include <algorithm>
#include <bit>
#include <optional>

#include "layout/hash_block.h"
#include "layout/rules.h"

namespace scalio::client {

class BlockView {
 public:
  // How the block was read.
  enum class Bodies : std::uint8_t {
    with_words,   // by one operation
    after_words,  // the bodies by a READ of their own
  };
  // `bytes` is the block as it was read, which may have been while it was written; or, for a key of
  // one tag, the part that read_block() brings.
  BlockView(const layout::RegionGeometry& geometry, std::uint64_t block, ByteView bytes,
            Bodies bodies = Bodies::with_words)
      : geometry_(geometry), block_(block), bytes_(bytes), bodies_(bodies) {}

  enum class Found : std::uint8_t {
    record,    // a readable slot has the key
    replaced,  // a write slot with its tag is being written: read again, never fall through
    filling,   // a client is reading the key (or one of the same tag) from SSD: slot() says where
    none,
  };
  // The key's record, or what is known of it. slot() is that of the record or the filling client.
  Found look_up(std::string_view key, std::uint32_t tag) {
    readable_ = layout::readable_slots(geometry_, bytes_.data(), tag);
    const layout::SlotSet read_slots = (layout::SlotSet{1} << geometry_.read_slots) - 1;
    // A DIRTY or CLEAN write slot wins over every read slot.
    for (layout::SlotSet left = readable_ & ~read_slots; left != 0; left &= left - 1) {
      slot_ = first_of(left);
      const std::uint32_t i = slot_ - geometry_.read_slots;
      const auto w = layout::WriteWord::unpack(word(geometry_.write_word(i)));
      record_ = body(slot_, w.generation,
                     load<std::uint32_t>(bytes_.data() + geometry_.upper_checksum(i)));
      if (!record_) return Found::replaced;
      if (record_->key == key) return Found::record;
    }
    for (layout::SlotSet left = readable_ & read_slots; left != 0; left &= left - 1) {
      slot_ = first_of(left);
      record_ = body(slot_, read_word(slot_).generation);
      if (record_ && record_->key == key) return Found::record;
    }
    for (slot_ = geometry_.read_slots; slot_-- > 0;) {
      const layout::ReadWord w = read_word(slot_);
      if (w.tag == tag && w.filling()) return Found::filling;
    }
    return Found::none;
  }
  const layout::RecordView& record() const { return *record_; }
  std::uint32_t slot() const { return slot_; }

  std::uint64_t read_word_raw(std::uint32_t i) const { return word(geometry_.read_word(i)); }
  layout::ReadWord read_word(std::uint32_t i) const {
    return layout::ReadWord::unpack(read_word_raw(i));
  }
  // Of a part, after look_up(): whether it says when read slots were filled, which age() asks for.
  // It has the bodies of the slots that may be read and have the tag in place of it, if there are
  // any.
  bool has_fill_times() const { return readable_ == 0; }
  // Clock units since a slot was last touched or filled; a hint (anyone may write the clocks).
  std::uint32_t age(std::uint32_t slot, std::uint32_t now) const {
    const auto touched = load<std::uint32_t>(bytes_.data() + geometry_.clock(slot));
    const std::uint32_t filled =
        read_word(slot).filled | layout::slot_filled(bytes_.subspan(geometry_.body(slot)));
    return std::min(layout::clock_age(now, touched), layout::clock_age(now, filled));
  }

 private:
  static std::uint32_t first_of(layout::SlotSet slots) {
    return static_cast<std::uint32_t>(std::countr_zero(slots));
  }
  std::uint64_t word(std::uint32_t offset) const {
    return load<std::uint64_t>(bytes_.data() + offset);
  }
  std::optional<layout::RecordView> body(std::uint32_t slot, std::uint16_t generation,
                                         std::optional<std::uint32_t> upper_checksum = {}) const {
    const ByteView bytes = bytes_.subspan(geometry_.body(slot), geometry_.slot_size);
    // Rule 4. Between two READs the slot may have been filled or replaced many times.
    if (bodies_ == Bodies::after_words && !kept(Rule::late_body)) {
      return layout::unchecked_record(bytes);
    }
    return layout::decode_slot(bytes, layout::slot_place(block_, slot, generation), upper_checksum);
  }

  const layout::RegionGeometry& geometry_;
  const std::uint64_t block_;
  const ByteView bytes_;
  const Bodies bodies_;
  std::optional<layout::RecordView> record_;
  std::uint32_t slot_ = 0;
  layout::SlotSet readable_ = 0;  // and of the tag
};

}  // namespace scalio::client
