// The hash block of the paper's cache, as bytes, and what a client reads in its copy of one. With 8
// slots of 80 B a block is 720 B:
//
//   version 8       raised by the server before a slot of the block is not dirty any more
//   order 8         the slots by their last use, newest first, 4 bits each, XOR 0xfedcba9876543210
//   word 8 a slot   state 2, tag 8, key's length 5, value's length 13, check 36 bits
//   body 80 a slot  key, value
//
// A slot is empty, being filled by a client, valid, or dirty: the server's, and newer than the SSD.
// A dirty one without a key has the value of some key with this tag, which the server knows.
//
// A copy is no snapshot: its bytes are of different moments. What keeps it right is in
// docs/evaluation.md, "The paper's Scalio".
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "baseline/paper/paper_format.h"

namespace scalio::paper {

constexpr std::uint32_t kMostSlots = 16;
constexpr std::uint64_t kWordsAt = 16;
constexpr std::uint64_t kMostOfTheWords = kWordsAt + 8 * kMostSlots;  // bytes before the bodies

struct CacheShape {
  std::uint32_t blocks = 0;
  std::uint32_t slots = 8;  // of a block
  std::uint32_t body = 80;  // bytes: key and value

  bool operator==(const CacheShape&) const = default;
  Status check() const;

  std::uint32_t block_of(std::uint64_t hash) const {
    // By other bits than the bucket.
    return static_cast<std::uint32_t>(scale(mix(hash), blocks));
  }
  // Bytes of the region, and of a block.
  std::uint64_t block_at(std::uint32_t block) const { return block * std::uint64_t{block_size()}; }
  std::uint32_t bodies_at() const { return static_cast<std::uint32_t>(kWordsAt) + slots * 8; }
  std::uint32_t word_at(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(kWordsAt) + slot * 8;
  }
  std::uint32_t body_at(std::uint32_t slot) const { return bodies_at() + slot * body; }
  std::uint32_t block_size() const { return bodies_at() + slots * body; }
  std::uint64_t size() const { return block_at(blocks); }
  bool fits(std::string_view key, std::string_view value) const {
    return key.size() + value.size() <= body;
  }
};

inline std::uint8_t tag_of(std::uint64_t hash) { return static_cast<std::uint8_t>(hash); }

struct BlockWord {
  enum class State : std::uint8_t { empty, filling, valid, dirty };
  State state = State::empty;
  std::uint8_t tag = 0;
  std::uint32_t key_length = 0;
  std::uint32_t value_length = 0;
  std::uint64_t check = 0;

  static BlockWord unpack(std::uint64_t word) {
    return {static_cast<State>(word & 3), static_cast<std::uint8_t>(word >> 2),
            static_cast<std::uint32_t>(word >> 10 & 0x1f),
            static_cast<std::uint32_t>(word >> 15 & 0x1fff), word >> 28};
  }
  std::uint64_t pack() const {
    return static_cast<std::uint64_t>(state) | std::uint64_t{tag} << 2 |
           std::uint64_t{key_length} << 10 | std::uint64_t{value_length} << 15 | check << 28;
  }
  bool has(std::uint8_t of_key) const { return state != State::empty && tag == of_key; }
};
// A client's while it fills. `nonce`: by which two of them differ.
constexpr std::uint64_t filling_word(std::uint8_t tag, std::uint64_t nonce) {
  return static_cast<std::uint64_t>(BlockWord::State::filling) | std::uint64_t{tag} << 2 |
         nonce << 10;
}
// The word of a record in a slot, valid or dirty; `place` is slot_place().
BlockWord word_of(BlockWord::State state, std::uint8_t tag, std::string_view key,
                  std::string_view value, std::uint64_t place);
// Names a slot of an SSD's cache: a body that was written over another slot's fits no word.
inline std::uint64_t slot_place(std::uint64_t seed, std::uint64_t block, std::uint32_t slot) {
  return mix(seed + block * kMostSlots + slot);
}

// Orders as they are in a block. Whatever the bytes are, this slot is the newest afterwards.
std::uint64_t used_now(std::uint64_t order, std::uint32_t slot);
// The slot of this rank, 0 the newest.
inline std::uint32_t ranked(std::uint64_t order, std::uint32_t rank) {
  return static_cast<std::uint32_t>((order ^ 0xfedcba9876543210) >> (4 * rank) & 15);
}

// A client's copy of a block, or of what is before the bodies.
struct BlockCopy {
  const CacheShape& shape;
  ByteView bytes;

  std::uint64_t version() const { return load<std::uint64_t>(bytes.data()); }
  std::uint64_t order() const { return load<std::uint64_t>(bytes.data() + 8); }
  std::uint64_t word(std::uint32_t slot) const {
    return load<std::uint64_t>(bytes.data() + shape.word_at(slot));
  }
  bool has_dirty(std::uint8_t tag) const;
  // The one to fill: an empty one, or the least recently used, or none if all are dirty. One that
  // a client began to fill is as good: it may never end.
  std::optional<std::uint32_t> victim() const;
};

struct CacheLookup {
  enum class Is : std::uint8_t { hit, miss, unclear };
  Is is = Is::miss;
  std::uint32_t slot = 0;
  std::string_view value;  // in the copy
};
// What a copy says of a key. Unclear: it is dirty, or another of its tag is, and the body is not
// here or not whole.
CacheLookup look_up(const BlockCopy& copy, std::string_view key, std::uint64_t hash,
                    std::uint32_t block, std::uint64_t seed);

// --- What a server says to a client that connects.

struct PaperHello {
  std::uint32_t ssds = 0;
  std::uint32_t ssd = 0;
  PaperGeometry geometry;
  CacheShape shape;
};
Bytes encode_paper_hello_request();
bool decode_paper_hello_request(ByteView in);
Bytes encode(const PaperHello& hello);
std::optional<PaperHello> decode_paper_hello(ByteView in);

}  // namespace scalio::paper
