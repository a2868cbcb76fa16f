#include "server/block_table.h"

#include <array>
#include <bit>

#include "layout/random_number.h"
#include "layout/rules.h"

namespace scalio::server {

using layout::ReadWord;
using layout::RecordView;
using layout::WriteState;
using layout::WriteWord;

namespace {
constexpr std::uint8_t kMaxHeat = 64;

// The word of a slot in this state. An EMPTY slot has no key, and so no tag.
std::uint64_t word_of(const WriteSlot& s) {
  return WriteWord{s.state, s.generation, s.state == WriteState::empty ? 0 : layout::tag_of(s.hash)}
      .pack();
}
}  // namespace

BlockTable::BlockTable(const layout::RegionGeometry& geometry, ByteSpan region,
                       std::function<void()> between_stores)
    : geometry_(geometry),
      region_(region),
      between_stores_(std::move(between_stores)),
      mac_key_(layout::random_mac_key()),
      slots_(geometry.blocks * geometry.write_slots),
      scratch_(geometry.slot_size) {
  SCALIO_ASSERT(region.size() >= geometry.size() && geometry.blocks > 0);
  // An all-zero read word would mean "killed while filling": free is (visible 0, complete 1).
  for (std::uint64_t block = 0; block < geometry_.blocks; ++block) {
    std::byte* b = region_.data() + geometry_.block_at(block);
    for (std::uint32_t i = 0; i < geometry_.read_slots; ++i) {
      fabric::store_word_relaxed(b + geometry_.read_word(i), ReadWord{}.pack());
    }
  }
}

bool BlockTable::holds(std::uint64_t block, std::uint32_t i, std::string_view key) const {
  const auto r = look(block, i);
  // A body that a client has damaged: its hash, kept here, decides. It is 64 bits of a secret
  // function.
  return !r || r->key == key;
}

std::uint64_t BlockTable::mac_of(ByteView body) const {
  return std::bit_cast<std::array<std::uint64_t, 2>>(layout::mac(mac_key_, body))[0];
}

std::optional<std::uint32_t> BlockTable::find(std::uint64_t block, std::uint64_t hash,
                                              std::string_view key) const {
  for (std::uint32_t i = 0; i < geometry_.write_slots; ++i) {
    const WriteSlot& s = slots_[block * geometry_.write_slots + i];
    if (s.state != WriteState::empty && s.hash == hash && holds(block, i, key)) return i;
  }
  return std::nullopt;
}

// Under a skewed load this keeps the keys that are written often, whose every replacement costs a
// merge.
template <class Eligible>
std::optional<std::uint32_t> BlockTable::coldest(std::uint64_t block, Eligible eligible) const {
  std::optional<std::uint32_t> best;
  const WriteSlot* slots = &slots_[block * geometry_.write_slots];
  for (std::uint32_t i = 0; i < geometry_.write_slots; ++i) {
    if (!eligible(slots[i])) continue;
    if (!best ||
        std::pair(slots[i].heat, slots[i].lsn) < std::pair(slots[*best].heat, slots[*best].lsn))
      best = i;
  }
  return best;
}

std::optional<std::uint32_t> BlockTable::reusable(std::uint64_t block) const {
  return coldest(block, [](const WriteSlot& s) { return !s.reserved && !s.merging && !s.dirty(); });
}

std::optional<std::uint32_t> BlockTable::mergeable(std::uint64_t block) const {
  return coldest(block, [](const WriteSlot& s) { return s.dirty() && !s.merging && !s.stuck; });
}

bool BlockTable::word_intact(std::uint64_t block, std::uint32_t i) const {
  const WriteSlot& s = slots_[block * geometry_.write_slots + i];
  return fabric::load_word_relaxed(word_at(block, i)) == word_of(s);
}

// Stores the word that the slot's state asks for. What a client wrote over the one before may have
// hidden the slot, and somebody may have filled a read slot with what the SSD has: then that is
// killed (rule 11).
void BlockTable::store_state(std::uint64_t block, std::uint32_t i, std::uint64_t stored) {
  const std::uint64_t word = word_of(slot(block, i));
  if (replace_word(block, i, stored, word)) return;
  if (kept(Rule::repair_kill)) return mend(block, i);
  fabric::store_word_release(word_at(block, i), word);
}

void BlockTable::reserve(std::uint64_t block, std::uint32_t i, std::uint64_t hash) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(!s.reserved && !s.merging && !s.dirty() && s.room == SlotRoom::old_record);
  const std::uint64_t stored = word_of(s);
  s.state = WriteState::empty;
  store_state(block, i, stored);
  s.heat = 0;
  // The others cool down as keys come and go around them.
  for (std::uint32_t j = 0; j < geometry_.write_slots; ++j) {
    WriteSlot& other = slot(block, j);
    other.heat = static_cast<std::uint8_t>(other.heat - (other.heat + 3) / 4);
  }
  s.reserved = true;
  s.hash = hash;
  s.version = s.lsn = 0;
  s.room_bytes = 0;
  s.stuck = false;
}

void BlockTable::kill_read_slots(std::uint64_t block, std::uint32_t tag) {
  std::byte* b = region_.data() + geometry_.block_at(block);
  for (std::uint32_t i = 0; i < geometry_.read_slots; ++i) {
    std::byte* word = b + geometry_.read_word(i);
    const ReadWord w = ReadWord::unpack(fabric::load_word_relaxed(word));
    if (!w.visible || w.tag != tag) continue;
    // Rule 3: a byte store. If a client's CAS gave the slot to another key meanwhile, that fill is
    // lost, which is harmless; a store of the whole word could bring a killed slot back.
    fabric::store_byte(word + ReadWord::kVisibleByte, std::byte{0});
    ++kills_;
    between_stores();
  }
}

void BlockTable::store_body(std::uint64_t block, std::uint32_t i, const RecordView& record) {
  WriteSlot& s = slot(block, i);
  const std::uint32_t upper = layout::encode_slot(
      scratch_, record, layout::slot_place(block, geometry_.read_slots + i, s.generation));
  const ByteView stored = ByteView(scratch_).first(layout::slot_bytes(record));
  s.mac = mac_of(stored);
  fabric::copy_to_region(const_cast<std::byte*>(body(block, i)), stored.data(), stored.size());
  fabric::copy_to_region(upper_checksum_at(block, i), reinterpret_cast<const std::byte*>(&upper),
                         sizeof upper);
}

void BlockTable::publish(std::uint64_t block, std::uint32_t i, const RecordView& record,
                         std::uint64_t lsn) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.reserved &&
                record.version >= s.version + (record.kind == layout::Kind::pointer ? 0 : 1));
  const bool replaces = s.state != WriteState::empty;
  std::uint64_t stored = word_of(s);
  if (!replaces) {
    ++s.generation;
    if (kept(Rule::locked)) {
      const std::uint64_t locked =
          WriteWord{WriteState::locked, s.generation, layout::tag_of(s.hash)}.pack();
      // Damage to the word of an EMPTY slot has hidden no write, and the kill follows.
      if (!replace_word(block, i, stored, locked)) {
        ++damaged_words_;
        fabric::store_word_release(word_at(block, i), locked);
      }
      stored = locked;
    }
    // Rule 1: whoever fills a slot of this key either did so before the loads below, and is killed,
    // or reads the write-slot words after LOCKED was stored, and gives way.
    fabric::full_fence();
    between_stores();
    if (kept(Rule::kill) && kept(Rule::kill_before_publish))
      kill_read_slots(block, layout::tag_of(s.hash));
    // The kills are done before the value can be seen.
    fabric::full_fence();
  }
  between_stores();
  // Replaced in place, a reader in between sees a checksum that does not match and reads again
  // (rule 4).
  store_body(block, i, record);
  if (replaces && s.heat < kMaxHeat) ++s.heat;
  if (!s.dirty()) ++dirty_;
  s.version = record.version;
  s.lsn = lsn;
  s.state = WriteState::dirty;
  s.stuck = false;
  s.pointer = record.kind == layout::Kind::pointer;
  between_stores();
  store_state(block, i, stored);
  between_stores();
  if (!replaces && !kept(Rule::kill_before_publish)) kill_read_slots(block, layout::tag_of(s.hash));
  // Before the reply: the value is visible to all once it is acknowledged.
  fabric::full_fence();
}

std::optional<RecordView> BlockTable::look(std::uint64_t block, std::uint32_t i) const {
  const WriteSlot& s = slots_[block * geometry_.write_slots + i];
  std::uint32_t upper = 0;
  fabric::copy_from_region(scratch_.data(), body(block, i), scratch_.size());
  fabric::copy_from_region(reinterpret_cast<std::byte*>(&upper), upper_checksum_at(block, i),
                           sizeof upper);
  // Rule 11: a checksum is right in what a client has made up, too.
  const std::uint32_t bytes = layout::stored_bytes(scratch_.data(), geometry_.slot_size);
  if (mac_of(ByteView(scratch_).first(bytes)) != s.mac && kept(Rule::own_body)) return std::nullopt;
  // Ours, but readers may not be able to read it: its word has the next generation since (hide()),
  // or the upper half of the checksum is damaged.
  auto r = layout::decode_slot(
      scratch_, layout::slot_place(block, geometry_.read_slots + i, s.generation), upper);
  return r && r->version == s.version ? r : std::nullopt;
}

std::optional<BlockTable::Published> BlockTable::read(std::uint64_t block, std::uint32_t i) const {
  const auto r = look(block, i);
  if (!r) return std::nullopt;
  return Published(*r);
}

// Rule 11: what LOCKED is to a publish. The word says that the key is here, in a generation that no
// body has yet: whoever fills a slot of it gives way, and nobody reads what is older meanwhile, as
// behind LOCKED.
void BlockTable::hide(std::uint64_t block, std::uint32_t i) {
  WriteSlot& s = slot(block, i);
  ++s.generation;
  fabric::store_word_release(word_at(block, i), word_of(s));
  fabric::full_fence();
  between_stores();
  if (kept(Rule::repair_kill)) kill_read_slots(block, layout::tag_of(s.hash));
  fabric::full_fence();
  between_stores();
}

void BlockTable::mend(std::uint64_t block, std::uint32_t i) {
  const bool empty = slot(block, i).state == WriteState::empty;
  const std::optional<Published> published = empty ? std::nullopt : read(block, i);
  ++damaged_words_;
  hide(block, i);
  if (published) store_body(block, i, published->view());
  fabric::full_fence();
}

void BlockTable::republish(std::uint64_t block, std::uint32_t i, const RecordView& record) {
  const WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.state != WriteState::empty && record.version == s.version);
  ++damaged_bodies_;
  hide(block, i);
  store_body(block, i, record);
  fabric::full_fence();
}

void BlockTable::discard(std::uint64_t block, std::uint32_t i) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.state == WriteState::clean && !s.reserved && !s.merging);
  ++damaged_bodies_;
  const std::uint64_t stored = word_of(s);
  s.state = WriteState::empty;
  store_state(block, i, stored);
  s.version = s.lsn = 0;
}

void BlockTable::set_clean(std::uint64_t block, std::uint32_t i) {
  WriteSlot& s = slot(block, i);
  SCALIO_ASSERT(s.dirty());
  const std::uint64_t stored = word_of(s);
  s.state = WriteState::clean;
  s.stuck = false;
  --dirty_;
  store_state(block, i, stored);
}

}  // namespace scalio::server
