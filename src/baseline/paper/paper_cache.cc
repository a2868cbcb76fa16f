#include "baseline/paper/paper_cache.h"

#include "base/assert.h"
#include "fabric/region_access.h"

namespace scalio::paper {

using State = BlockWord::State;

BlockWord PaperCache::word(std::uint32_t block, std::uint32_t slot) {
  return BlockWord::unpack(fabric::load_word_acquire(word_at(block, slot)));
}

std::uint64_t PaperCache::order(std::uint32_t block) {
  return fabric::load_word_relaxed(region_.data() + shape_.block_at(block) + 8);
}

// One of the key's, which would be killed in any case, or an empty one, or the least recently used.
std::optional<std::uint32_t> PaperCache::choose(std::uint32_t block, std::uint8_t tag) {
  std::optional<std::uint32_t> empty;
  std::optional<std::uint32_t> oldest;
  const std::uint64_t newest_first = order(block);
  for (std::uint32_t rank = 0; rank < kMostSlots; ++rank) {
    const std::uint32_t slot = ranked(newest_first, rank);
    if (slot >= shape_.slots) continue;
    const BlockWord w = word(block, slot);
    if (w.state == State::dirty) continue;
    if (w.has(tag)) return slot;
    if (w.state == State::empty) empty = slot;
    oldest = slot;
  }
  return empty ? empty : oldest;
}

// The order of steps is what makes it right. Who claims a slot after it was looked at sees the
// dirty word; who claimed it before is killed; and no reader finds the older value once one may
// have found this one.
std::optional<std::uint32_t> PaperCache::publish(std::string_view key, std::uint64_t hash,
                                                 std::optional<std::string_view> value,
                                                 std::optional<std::uint32_t> own) {
  const std::uint32_t block = shape_.block_of(hash);
  const std::uint8_t tag = tag_of(hash);
  const std::optional<std::uint32_t> slot = own ? own : choose(block, tag);
  if (!slot) return std::nullopt;
  const BlockWord locked = {State::dirty, tag, 0, 0, 0};
  fabric::store_word_release(word_at(block, *slot), locked.pack());
  fabric::full_fence();
  for (std::uint32_t i = 0; i < shape_.slots; ++i) {
    const BlockWord w = word(block, i);
    if (i == *slot || w.state == State::dirty || !w.has(tag)) continue;
    fabric::store_word_release(word_at(block, i), 0);
  }
  if (value && shape_.fits(key, *value)) {
    std::byte* const body = region_.data() + shape_.block_at(block) + shape_.body_at(*slot);
    fabric::full_fence();
    fabric::copy_to_region(body, as_bytes(key).data(), key.size());
    fabric::copy_to_region(body + key.size(), as_bytes(*value).data(), value->size());
    const BlockWord dirty =
        word_of(State::dirty, tag, key, *value, slot_place(seed_, block, *slot));
    fabric::store_word_release(word_at(block, *slot), dirty.pack());
  }
  // A client's WRITE of the order may be lost, or undo this: it is a hint.
  fabric::store_word_relaxed(region_.data() + shape_.block_at(block) + 8,
                             used_now(order(block), *slot));
  return slot;
}

// A filler that has read the SSD before it had this value may look too late to see it dirty. Then
// it sees the version, or has claimed its slot before this looks.
void PaperCache::clean(std::uint64_t hash, std::uint32_t slot) {
  const std::uint32_t block = shape_.block_of(hash);
  BlockWord w = word(block, slot);
  // A client may have damaged it; then it is empty.
  const bool ours = w.state == State::dirty && w.tag == tag_of(hash) && w.key_length > 0;
  std::byte* const version = region_.data() + shape_.block_at(block);
  fabric::store_word_release(version, fabric::load_word_relaxed(version) + 1);
  fabric::full_fence();
  for (std::uint32_t i = 0; i < shape_.slots; ++i) {
    const BlockWord other = word(block, i);
    if (other.state != State::filling || !other.has(tag_of(hash))) continue;
    fabric::store_word_release(word_at(block, i), 0);
  }
  w.state = State::valid;
  fabric::store_word_release(word_at(block, slot), ours ? w.pack() : 0);
}

}  // namespace scalio::paper
