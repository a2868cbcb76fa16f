#include "server/block_table.h"

#include "fabric/region_access.h"

namespace scalio::server {

using layout::ReadWord;
using layout::RecordView;
using layout::WriteState;
using layout::WriteWord;

BlockTable::BlockTable(const layout::RegionGeometry& geometry, ByteSpan region)
    : geometry_(geometry),
      region_(region),
      slots_(geometry.blocks * geometry.write_slots),
      scratch_(geometry.slot_size) {
  SCALIO_ASSERT(region.size() >= geometry.size() && geometry.blocks > 0);
  // An all-zero read word would mean "killed while filling": free is (visible 0, complete 1).
  for (uint64_t block = 0; block < geometry_.blocks; ++block) {
    std::byte* b = region_.data() + geometry_.block_at(block);
    for (uint32_t i = 0; i < geometry_.read_slots; ++i) {
      fabric::store_word_relaxed(b + geometry_.read_word(i), ReadWord{}.pack());
    }
  }
}

bool BlockTable::holds(uint64_t block, uint32_t i, std::string_view key) const {
  const std::byte* p = body(block, i);
  fabric::copy_from_region(scratch_.data(), p, scratch_.size());
  const WriteSlot& s = slots_[block * geometry_.write_slots + i];
  auto r = layout::decode_slot(scratch_, layout::slot_place(block, geometry_.read_slots + i, s.generation));
  // A body that a client has damaged: its hash, kept here, decides. It is 64 bits of a secret function.
  return !r || r->key == key;
}

std::optional<uint32_t> BlockTable::find(uint64_t block, uint64_t hash, std::string_view key) const {
  for (uint32_t i = 0; i < geometry_.write_slots; ++i) {
    const WriteSlot& s = slots_[block * geometry_.write_slots + i];
    if (s.state != WriteState::empty && s.hash == hash && holds(block, i, key)) return i;
  }
  return std::nullopt;
}

std::optional<uint32_t> BlockTable::reusable(uint64_t block) const {
  std::optional<uint32_t> best;
  uint32_t best_clock = 0;
  const std::byte* b = region_.data() + geometry_.block_at(block);
  for (uint32_t i = 0; i < geometry_.write_slots; ++i) {
    const WriteSlot& s = slots_[block * geometry_.write_slots + i];
    if (s.reserved || s.merging || s.dirty()) continue;
    if (s.state == WriteState::empty) return i;
    uint32_t clock;
    fabric::copy_from_region(reinterpret_cast<std::byte*>(&clock), b + geometry_.clock(geometry_.read_slots + i),
                             sizeof clock);
    if (!best || static_cast<int32_t>(clock - best_clock) < 0) {
      best = i;
      best_clock = clock;
    }
  }
  return best;
}

void BlockTable::store_state(uint64_t block, uint32_t i, WriteState state) {
  const WriteSlot& s = slot(block, i);
  fabric::store_word_release(region_.data() + geometry_.block_at(block) + geometry_.write_word(i),
                             WriteWord{state, s.generation, layout::tag_of(s.hash)}.pack());
}

void BlockTable::reserve(uint64_t block, uint32_t i, uint64_t hash) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(!s.reserved && !s.merging && !s.dirty());
  s.state = WriteState::empty;
  store_state(block, i, WriteState::empty);
  s.reserved = true;
  s.hash = hash;
  s.version = s.lsn = 0;
  s.pinned = false;
}

void BlockTable::kill_read_slots(uint64_t block, uint32_t tag) {
  std::byte* b = region_.data() + geometry_.block_at(block);
  for (uint32_t i = 0; i < geometry_.read_slots; ++i) {
    std::byte* word = b + geometry_.read_word(i);
    const ReadWord w = ReadWord::unpack(fabric::load_word_relaxed(word));
    if (!w.visible || w.tag != tag) continue;
    // Rule 3: a byte store. If a client's CAS gave the slot to another key meanwhile, that fill is lost,
    // which is harmless; a store of the whole word could bring a killed slot back.
    fabric::store_byte(word + ReadWord::kVisibleByte, std::byte{0});
    ++kills_;
  }
}

void BlockTable::publish(uint64_t block, uint32_t i, const RecordView& record, uint64_t lsn, uint32_t now_clock) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.reserved && record.version > s.version);
  const bool replaces = s.state != WriteState::empty;
  std::byte* to = const_cast<std::byte*>(body(block, i));
  if (!replaces) {
    ++s.generation;
    store_state(block, i, WriteState::locked);
    // Rule 1: whoever fills a slot of this key either did so before the loads below, and is killed, or
    // reads the write-slot words after LOCKED was stored, and gives way.
    fabric::full_fence();
    kill_read_slots(block, layout::tag_of(s.hash));
    // The kills are done before the value can be seen.
    fabric::full_fence();
  }
  layout::encode_slot(scratch_, record, layout::slot_place(block, geometry_.read_slots + i, s.generation));
  // Replaced in place, a reader in between sees a checksum that does not match and reads again (rule 4).
  fabric::copy_to_region(to, scratch_.data(), layout::slot_bytes(record));
  fabric::copy_to_region(
      region_.data() + geometry_.block_at(block) + geometry_.clock(geometry_.read_slots + i),
      reinterpret_cast<const std::byte*>(&now_clock), sizeof now_clock);
  if (!s.dirty()) ++dirty_;
  s.version = record.version;
  s.lsn = lsn;
  s.state = WriteState::dirty;
  s.pinned = false;
  store_state(block, i, WriteState::dirty);
  // Before the reply: the value is visible to all once it is acknowledged.
  fabric::full_fence();
}

std::optional<BlockTable::Published> BlockTable::read(uint64_t block, uint32_t i) const {
  const WriteSlot& s = slots_[block * geometry_.write_slots + i];
  fabric::copy_from_region(scratch_.data(), body(block, i), scratch_.size());
  auto r = layout::decode_slot(scratch_, layout::slot_place(block, geometry_.read_slots + i, s.generation));
  if (!r || r->version != s.version) return std::nullopt;
  return Published{std::string(r->key), std::string(r->value), r->version, r->kind};
}

void BlockTable::set_clean(uint64_t block, uint32_t i) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.dirty());
  s.state = WriteState::clean;
  s.pinned = false;
  --dirty_;
  store_state(block, i, WriteState::clean);
}

}  // namespace scalio::server
