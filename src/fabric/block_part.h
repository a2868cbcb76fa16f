// BlockPart: the part of a hash block that read_block() brings for a tag.
//
// A reader of a key needs the block's header and one body, and of ten bodies nine are another's. So
// what can look into a block brings
//   the header;
//   the bodies of the slots that may be read and have the tag, as far as they are used;
//   if there are none, when each read slot was filled: a miss chooses its victim by that.
//
// Which pieces these are follows from what is in them: the words say which slots, a body's header
// says how long it is. So who receives a part finds the place of each piece as who sent it did, and
// neither says it. Words and bodies are of different moments, and anyone may have written them: all
// lengths are bounded here, and a body counts by its checksum (docs/protocol.md, rule 4).
#pragma once

#include <bit>
#include <cstdint>

#include "layout/hash_block.h"

namespace scalio::fabric {

// Of the block at `block`, which need not be there yet: copy(offset, size) is called for each piece
// in turn, and brings it to its place in the block.
template <class Copy>
void copy_block_part(const layout::RegionGeometry& g, std::uint32_t tag, const std::byte* block,
                     Copy copy) {
  copy(std::uint32_t{0}, g.header_end());
  layout::SlotSet slots = layout::readable_slots(g, block, tag);
  if (slots == 0) {
    for (std::uint32_t i = 0; i < g.read_slots; ++i) {
      copy(g.body(i) + layout::kFilled, std::uint32_t{sizeof(std::uint16_t)});
    }
    return;
  }
  for (; slots != 0; slots &= slots - 1) {
    const std::uint32_t body = g.body(static_cast<std::uint32_t>(std::countr_zero(slots)));
    copy(body, layout::kSlotHeader);
    const std::uint32_t bytes = layout::stored_bytes(block + body, g.slot_size);
    copy(body + layout::kSlotHeader, bytes - layout::kSlotHeader);
  }
}

// The part of a block, packed: its pieces one after the other, into exactly as much room as they
// take.
void pack_block_part(const layout::RegionGeometry& g, std::uint32_t tag, const std::byte* block,
                     ByteSpan into);
// The other way round: each piece to its place in `block`, which has room for a whole one. False if
// the bytes are not those of a part; then anything may be in `block`.
bool unpack_block_part(const layout::RegionGeometry& g, std::uint32_t tag, ByteView packed,
                       std::byte* block);

}  // namespace scalio::fabric
