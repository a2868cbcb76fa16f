// Ditto's region and messages as bytes (docs/evaluation.md, "Ditto"). Pure: bytes and structs.
//
//   kHistoryHeadAt   8 B: the number that the next history entry gets
//   kTableAt         buckets of 8 slots of 48 B: a word, which changes by CAS alone, and 40 B of
//                    metadata, which whoever uses the key writes over whatever is there
//   data_at()        segments of 1 MiB, which the server hands out; objects in them take whole
//                    units of 256 B
//
// Any client can write anything anywhere in a region. So what was read from it is checked here: a
// word that names no place in the data is `unusable`, an object that contradicts itself is none.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"

namespace scalio::ditto {

constexpr std::uint32_t kSlots = 8;  // of a bucket
constexpr std::uint64_t kSlotSize = 48;
constexpr std::uint64_t kBucketSize = kSlots * kSlotSize;
constexpr std::uint64_t kUnit = 256;
constexpr std::uint64_t kSegmentSize = 1 << 20;
constexpr std::uint64_t kHistoryHeadAt = 0;
constexpr std::uint64_t kTableAt = 64;
// Buckets that one READ of a sample brings.
constexpr std::uint64_t kWindow = 4;
// A word tells an object's size in lines, so that a READ of it brings little more than it has.
constexpr std::uint64_t kLine = 64;
constexpr std::uint64_t kMaxLines = 254;
constexpr std::uint64_t kMaxObject = kMaxLines * kLine;
constexpr std::uint32_t kMaxUnits = kMaxObject / kUnit + 1;
constexpr std::uint64_t kPointerMask = (1ULL << 48) - 1;

struct DittoGeometry {
  std::uint64_t buckets = 0;
  std::uint64_t segments = 0;

  // Failures: invalid, saying what is wrong.
  Status check() const;

  std::uint64_t data_at() const { return round_up(kTableAt + buckets * kBucketSize, 4096); }
  std::uint64_t size() const { return data_at() + segments * kSegmentSize; }
  std::uint64_t units() const { return segments * (kSegmentSize / kUnit); }
  std::uint64_t bucket_of(std::uint64_t hash) const { return scale(hash, buckets); }
  std::uint64_t bucket_at(std::uint64_t bucket) const { return kTableAt + bucket * kBucketSize; }
  // Entries of the history that count. As the original: an eighth of the slots.
  std::uint64_t history_size() const { return buckets; }
  // Whether `bytes` at `offset` are in the data, and begin with a unit.
  bool has_object(std::uint64_t offset, std::uint64_t bytes) const {
    return offset >= data_at() && offset < size() && bytes <= size() - offset &&
           (offset - data_at()) % kUnit == 0;
  }
  bool has_segment(std::uint64_t offset) const {
    return has_object(offset, kSegmentSize) && (offset - data_at()) % kSegmentSize == 0;
  }
  bool operator==(const DittoGeometry&) const = default;
};

inline std::uint64_t hash_of(std::string_view key) { return hash_key(key, 0); }
// Independent of the bucket, which the upper bits choose.
inline std::uint8_t fingerprint_of(std::uint64_t hash) { return static_cast<std::uint8_t>(hash); }

// fingerprint:8 | lines:8 | pointer:48, lowest byte first. All zero: empty.
struct SlotWord {
  enum class Kind : std::uint8_t {
    empty,
    object,    // pointer: where it is in the region
    history,   // pointer: the entry's number, modulo 2^48
    unusable,  // of no client of ours
  };
  static constexpr std::uint8_t kHistoryLines = 255;

  Kind kind = Kind::empty;
  std::uint8_t fingerprint = 0;
  std::uint8_t lines = 0;
  std::uint64_t pointer = 0;

  static SlotWord object(std::uint8_t fingerprint, std::uint64_t lines, std::uint64_t pointer) {
    return {Kind::object, fingerprint, static_cast<std::uint8_t>(lines), pointer};
  }
  static SlotWord history(std::uint8_t fingerprint, std::uint64_t number) {
    return {Kind::history, fingerprint, kHistoryLines, number & kPointerMask};
  }
  static SlotWord unpack(std::uint64_t word, const DittoGeometry& geometry);
  static std::uint8_t fingerprint_in(std::uint64_t word) { return static_cast<std::uint8_t>(word); }
  std::uint64_t pack() const {
    return std::uint64_t{fingerprint} | std::uint64_t{lines} << 8 | pointer << 16;
  }

  bool is_object() const { return kind == Kind::object; }
  bool is_history() const { return kind == Kind::history; }
  std::uint64_t bytes() const { return lines * kLine; }
  std::uint32_t units() const { return static_cast<std::uint32_t>((bytes() + kUnit - 1) / kUnit); }
};

// How many entries are newer than the one of this number. Numbers wrap at 2^48.
inline std::uint64_t history_age(std::uint64_t head, std::uint64_t number) {
  return (head - number) & kPointerMask;
}

// What follows a word. Times are ns of the server's clock.
struct SlotMetadata {
  std::uint64_t hash = 0;
  std::uint64_t inserted = 0;  // of a history entry, its lowest byte: the experts that evicted it
  std::uint64_t last_used = 0;
  std::uint64_t counter = 0;  // for experts that need it: none of these
  std::uint64_t frequency = 0;
};
constexpr std::uint64_t kMetadataAt = 8;  // in a slot
constexpr std::uint64_t kInsertedAt = kMetadataAt + offsetof(SlotMetadata, inserted);
constexpr std::uint64_t kLastUsedAt = kMetadataAt + offsetof(SlotMetadata, last_used);
constexpr std::uint64_t kFrequencyAt = kMetadataAt + offsetof(SlotMetadata, frequency);
static_assert(kMetadataAt + sizeof(SlotMetadata) == kSlotSize);
// Words and frequencies are changed by CAS.
static_assert(kTableAt % 8 == 0 && kSlotSize % 8 == 0 && kFrequencyAt % 8 == 0);

// An object: key's size:32 | value's size:32 | key | value. Nothing tells whether it is whole: a
// READ during a WRITE gives parts of both, as in the original.
struct ObjectView {
  std::string_view key;
  std::string_view value;
};
constexpr std::uint64_t kObjectHeader = 8;
inline std::uint64_t object_size(std::string_view key, std::string_view value) {
  return kObjectHeader + key.size() + value.size();
}
// `out` is object_size() long.
void encode_object(ByteSpan out, std::string_view key, std::string_view value);
std::optional<ObjectView> decode_object(ByteView bytes);

// --- Messages -----------------------------------------------------------------------------------

// The experts of the adaptive policy, and what is kept for each: a weight, or what it is lowered
// by.
constexpr std::uint32_t kExperts = 2;
using ExpertValues = std::array<double, kExperts>;

// The server's answer to the hello.
struct DittoHello {
  DittoGeometry geometry;
  std::uint64_t server_now = 0;
  ExpertValues weights{};
};
Bytes encode_hello(const DittoHello& hello);
// Failures: invalid, if it is not such an answer.
Result<DittoHello> decode_hello(ByteView bytes);

enum class DittoRequestKind : std::uint64_t {
  segment = 1,  // one more segment. The answer is its place, or 0: all are given out
  weights = 2,  // the logarithms of what the weights are multiplied by. The answer is the weights
};
struct DittoRequest {
  DittoRequestKind kind = DittoRequestKind::segment;
  ExpertValues penalties{};  // finite, not above 0
};
Bytes encode_request(const DittoRequest& request);
std::optional<DittoRequest> decode_request(ByteView bytes);
Bytes encode_segment(std::uint64_t offset);
std::optional<std::uint64_t> decode_segment(ByteView bytes, const DittoGeometry& geometry);
Bytes encode_weights(const ExpertValues& weights);
std::optional<ExpertValues> decode_weights(ByteView bytes);

}  // namespace scalio::ditto
