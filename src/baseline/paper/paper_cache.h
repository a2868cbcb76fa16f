// PaperCache: the server's hand on the hash blocks of one SSD, which clients read, and fill by CAS.
//
// Words are changed by clients' CAS and by the CPU's stores, so the CAS must be the CPU's too
// (fabric::Atomics::cpu).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "baseline/paper/paper_block.h"

namespace scalio::paper {

// Belongs to the server's thread.
class PaperCache {
 public:
  // The region, zeroed, of shape.size() bytes, with no client yet.
  PaperCache(const CacheShape& shape, ByteSpan region, std::uint64_t seed)
      : shape_(shape), region_(region), seed_(seed) {}

  // Makes a key's value what readers see; without a value, that they must ask. `own`: the slot
  // where the key is dirty already. Returns the slot, which is dirty until clean(), or nothing if
  // all slots are dirty with other keys, and nothing was changed.
  std::optional<std::uint32_t> publish(std::string_view key, std::uint64_t hash,
                                       std::optional<std::string_view> value,
                                       std::optional<std::uint32_t> own);
  // The SSD has what the slot has: readers need not find it here any more.
  void clean(std::uint64_t hash, std::uint32_t slot);

  const CacheShape& shape() const { return shape_; }

 private:
  std::byte* word_at(std::uint32_t block, std::uint32_t slot) {
    return region_.data() + shape_.block_at(block) + shape_.word_at(slot);
  }
  BlockWord word(std::uint32_t block, std::uint32_t slot);
  std::uint64_t order(std::uint32_t block);
  std::optional<std::uint32_t> choose(std::uint32_t block, std::uint8_t tag);

  const CacheShape shape_;
  const ByteSpan region_;
  const std::uint64_t seed_;
};

}  // namespace scalio::paper
