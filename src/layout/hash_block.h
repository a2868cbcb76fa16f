// The hash block: slot words and slot bodies (docs/formats.md, "Region"). Pure: bytes and structs.
//
// Slots of a block are numbered read slots first, then write slots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/record.h"

namespace scalio::layout {

// A read-slot word: visible:8 | complete:8 | generation:16 | tag:32, lowest byte first.
//
// A byte that says no is 0. One that says yes also tells a part of when the slot was filled: 1 + a
// digit, to the base 255, of the access clock's upper half. Its lower half is in the body.
struct ReadWord {
  static constexpr std::uint32_t kVisibleByte = 0;
  static constexpr std::uint32_t kCompleteByte = 1;

  bool visible = false;
  bool complete = true;
  std::uint16_t generation = 0;
  std::uint32_t tag = 0;
  std::uint32_t filled = 0;  // the access clock when it was filled, less its lower 16 bits

  static ReadWord unpack(std::uint64_t w) {
    const auto visible = static_cast<std::uint8_t>(w), complete = static_cast<std::uint8_t>(w >> 8);
    return {visible != 0, complete != 0, static_cast<std::uint16_t>(w >> 16),
            static_cast<std::uint32_t>(w >> 32), (digit(visible) * 255 + digit(complete)) << 16};
  }
  std::uint64_t pack() const {
    const std::uint8_t visible_byte =
        visible ? static_cast<std::uint8_t>(1 + (filled >> 16) / 255) : 0;
    const std::uint8_t complete_byte = complete ? complete_at(filled) : 0;
    return std::uint64_t{visible_byte} | std::uint64_t{complete_byte} << 8 |
           std::uint64_t{generation} << 16 | std::uint64_t{tag} << 32;
  }
  // The byte `complete` of a slot that was filled at this time.
  static std::uint8_t complete_at(std::uint32_t clock) {
    return static_cast<std::uint8_t>(1 + (clock >> 16) % 255);
  }
  bool free() const { return !visible && complete; }
  bool filling() const { return visible && !complete; }
  bool valid() const { return visible && complete; }
  bool incomplete() const { return !complete; }  // filling, or killed while filling

 private:
  static std::uint32_t digit(std::uint8_t byte) { return byte == 0 ? 0 : byte - 1U; }
};

enum class WriteState : std::uint8_t {
  empty = 0,
  locked = 1,  // being published: not readable, hides nothing
  dirty = 2,   // durable in the log, not yet in the bucket
  clean = 3,   // merged into the bucket, still readable
};

// A write-slot word: state:8 | 0:8 | generation:16 | tag:32.
struct WriteWord {
  WriteState state = WriteState::empty;
  std::uint16_t generation = 0;
  std::uint32_t tag = 0;

  static WriteWord unpack(std::uint64_t w) {
    return {static_cast<WriteState>(w & 0xff), static_cast<std::uint16_t>(w >> 16),
            static_cast<std::uint32_t>(w >> 32)};
  }
  std::uint64_t pack() const {
    return static_cast<std::uint64_t>(state) | std::uint64_t{generation} << 16 |
           std::uint64_t{tag} << 32;
  }
  bool readable() const { return state == WriteState::dirty || state == WriteState::clean; }
};

// A set of slots: bit i is slot i.
using SlotSet = std::uint32_t;
static_assert(RegionGeometry::kMaxSlots <= 32);

// The slots whose words say that they may be read and have the tag. `header` is the block's first
// header_end() bytes, as anyone may have written them.
inline SlotSet readable_slots(const RegionGeometry& g, const std::byte* header, std::uint32_t tag) {
  SlotSet slots = 0;
  for (std::uint32_t i = 0; i < g.read_slots; ++i) {
    const auto w = ReadWord::unpack(load<std::uint64_t>(header + g.read_word(i)));
    slots |= static_cast<SlotSet>(w.tag == tag && w.valid()) << i;
  }
  for (std::uint32_t i = 0; i < g.write_slots; ++i) {
    const auto w = WriteWord::unpack(load<std::uint64_t>(header + g.write_word(i)));
    slots |= static_cast<SlotSet>(w.tag == tag && w.readable()) << (g.read_slots + i);
  }
  return slots;
}

// A slot body: a 16-byte header, the payload (layout/record.h).
constexpr std::uint32_t kSlotHeader = 16;
constexpr std::uint32_t kMeta = 4;          // where in the header, 8 bytes (RecordMeta)
constexpr std::uint32_t kKeyLength = 10;    // 1 byte of it
constexpr std::uint32_t kValueLength = 12;  // 2 bytes
constexpr std::uint32_t kFilled = 14;       // 2 bytes

// The slot size in which any record of key + value up to `inline_limit` bytes fits.
constexpr std::uint32_t slot_size_for(std::uint32_t inline_limit) {
  return static_cast<std::uint32_t>(round_up(kSlotHeader + inline_limit, 8));
}

// Where a body belongs: its checksum covers this, so that a reader never accepts a torn, late or
// misplaced write.
std::uint64_t slot_place(std::uint64_t block, std::uint32_t slot, std::uint16_t generation);

// Bytes that encode_slot writes for this record, a multiple of 8.
std::uint32_t slot_bytes(const RecordView& record);

// Bytes of a slot that its body takes by what its header, which may be anything, says of lengths: a
// multiple of 8 from kSlotHeader to `slot_size`. No more of the slot counts.
inline std::uint32_t stored_bytes(const std::byte* body, std::uint32_t slot_size) {
  const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(body + kMeta));
  const std::uint64_t used =
      kSlotHeader +
      payload_size(meta.key_length, load<std::uint16_t>(body + kValueLength), meta.has_end);
  return std::min(static_cast<std::uint32_t>(round_up(used, 8)), slot_size);
}

// Writes the body of `record` to the start of `out`, which must hold slot_bytes(record). `filled`
// is when, the lower half of the access clock: a new record's access clock without a write of its
// own.
//
// Returns the upper half of the checksum, whose lower half is in the body. Write slots, which are
// replaced while clients read them, keep it in the block's header: half a checksum would let a
// mixture of old and new pass too often for a key that is hot enough.
std::uint32_t encode_slot(ByteSpan out, const RecordView& record, std::uint64_t place,
                          std::uint16_t filled = 0);
inline std::uint16_t slot_filled(ByteView slot) {
  return load<std::uint16_t>(slot.data() + kFilled);
}

// The record in a slot's bytes, as views into them, whatever its checksum; nothing if there cannot
// be one.
std::optional<RecordView> unchecked_record(ByteView slot);
// The same; nothing unless the checksum matches `place`,
// and its upper half is `upper`, if that is given.
std::optional<RecordView> decode_slot(ByteView slot, std::uint64_t place,
                                      std::optional<std::uint32_t> upper = {});

}  // namespace scalio::layout
