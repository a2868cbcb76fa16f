#include "hardware/sparse_bytes.h"

#include "base/assert.h"

namespace scalio::hardware {

// Grains up to the last byte that is not 0.
std::uint32_t SparseBytes::used(const std::byte* block) {
  std::uint32_t words = kBlock / 8;
  while (words > 0 && load<std::uint64_t>(block + 8 * (words - 1)) == 0) --words;
  return (words * 8 + kGrain - 1) / kGrain;
}

std::uint64_t SparseBytes::allocate(std::uint32_t grains) {
  std::vector<std::uint64_t>& free = free_[grains];
  if (!free.empty()) {
    const std::uint64_t at = free.back();
    free.pop_back();
    return at;
  }
  if (end_ - next_ < grains) {
    next_ = chunks_.size() * (kChunk / kGrain);
    end_ = next_ + kChunk / kGrain;
    chunks_.push_back(std::make_unique<std::byte[]>(kChunk));
  }
  const std::uint64_t at = next_;
  next_ += grains;
  return at;
}

void SparseBytes::read(std::uint64_t offset, ByteSpan into) const {
  SCALIO_ASSERT(offset % kBlock == 0 && into.size() % kBlock == 0);
  SCALIO_ASSERT(offset + into.size() <= size_);
  for (std::size_t at = 0; at < into.size(); at += kBlock) {
    const Place found = place(offset + at);
    const std::size_t held = found.grains * std::size_t{kGrain};
    if (held > 0) std::memcpy(into.data() + at, memory(found), held);
    std::memset(into.data() + at + held, 0, kBlock - held);
  }
}

void SparseBytes::write(std::uint64_t offset, ByteView from) {
  SCALIO_ASSERT(offset % kBlock == 0 && from.size() % kBlock == 0);
  SCALIO_ASSERT(offset + from.size() <= size_);
  for (std::size_t at = 0; at < from.size(); at += kBlock) {
    const std::uint32_t grains = used(from.data() + at);
    const Place old = place(offset + at);
    if (grains == 0 && old.grains == 0) continue;
    Place& found = make_place(offset + at);
    if (grains != old.grains) {
      if (old.grains != 0) free_[old.grains].push_back(old.at);
      found.grains = grains;
      if (grains != 0) found.at = allocate(grains);
    }
    if (grains != 0) {
      std::memcpy(memory(found), from.data() + at, std::size_t{grains} * kGrain);
    }
  }
}

}  // namespace scalio::hardware
