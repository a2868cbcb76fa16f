// A record: what a key holds, wherever it is stored (slot, bucket or log).
//
// All three places have the same eight bytes of it (RecordMeta), and behind their headers the same
// payload: the end, if there is one, then the key, then the value.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace scalio::layout {

constexpr std::size_t kMaxKey = 255;                     // bytes; a key has at least 1
constexpr std::uint64_t kMaxVersion = (1ULL << 48) - 1;  // versions are 48 bits everywhere
constexpr std::uint32_t kEndSize = 8;                    // bytes of an end
constexpr std::uint64_t kLatestEnd = ~0ULL >> 1;         // ns; a client's times have a sign
constexpr std::uint32_t kPointerSize = 28;               // bytes of a pointer (layout/value_area.h)

enum class Kind : std::uint8_t {
  value = 0,
  tombstone = 1,  // the key was deleted; never in a bucket
  pointer = 2,    // the value is in the value log, and a pointer to it in its place
};

// Views into somebody else's bytes.
struct RecordView {
  std::string_view key;
  std::string_view value;  // or the bytes of a pointer
  std::uint64_t version = 0;
  Kind kind = Kind::value;
  std::uint64_t end = 0;  // from this store time on (ns) it is no more; 0: it has no end

  // Whether it is no more at that store time.
  bool ended_at(std::uint64_t time) const { return end != 0 && end <= time; }
};
// What a record takes of the inline limit, and behind the header of its place.
constexpr std::uint64_t payload_size(std::size_t key, std::size_t value, bool has_end) {
  return key + value + (has_end ? kEndSize : 0);
}
inline std::uint64_t payload_size(const RecordView& r) {
  return payload_size(r.key.size(), r.value.size(), r.end != 0);
}

// Eight bytes: version:48 | key length:8 | kind:7 | has an end:1. `kind` is that of the place.
struct RecordMeta {
  static constexpr std::uint32_t kKeyLengthByte = 6;
  static constexpr std::uint32_t kKindByte = 7;
  static constexpr std::uint8_t kHasEnd = 0x80;

  std::uint64_t version = 0;
  std::uint8_t key_length = 0;
  std::uint8_t kind = 0;
  bool has_end = false;

  static RecordMeta unpack(std::uint64_t word) {
    return {word & kMaxVersion, static_cast<std::uint8_t>(word >> 48),
            static_cast<std::uint8_t>(word >> 56 & 0x7f), word >> 63 != 0};
  }
  std::uint64_t pack() const {
    return version | std::uint64_t{key_length} << 48 | std::uint64_t{kind} << 56 |
           std::uint64_t{has_end} << 63;
  }
};
inline RecordMeta meta_of(const RecordView& r) {
  return {r.version, static_cast<std::uint8_t>(r.key.size()), static_cast<std::uint8_t>(r.kind),
          r.end != 0};
}

// Writes the payload to `out`, which has room; returns its end.
inline std::byte* put_payload(std::byte* out, const RecordView& r) {
  if (r.end != 0) {
    store(out, r.end);
    out += kEndSize;
  }
  out = copy_bytes(as_bytes(r.key), out);
  return copy_bytes(as_bytes(r.value), out);
}
// The record whose payload, all of it there, begins at `in`.
inline RecordView view_payload(const std::byte* in, const RecordMeta& meta, std::size_t value) {
  RecordView r{{}, {}, meta.version, static_cast<Kind>(meta.kind)};
  if (meta.has_end) {
    r.end = load<std::uint64_t>(in);
    in += kEndSize;
  }
  const auto* text = reinterpret_cast<const char*>(in);
  r.key = {text, meta.key_length};
  r.value = {text + meta.key_length, value};
  return r;
}

// Whether there can be such a record; `meta` is what it was viewed by. Any kind that is none is
// not.
inline bool well_formed(const RecordView& r, const RecordMeta& meta) {
  if (r.key.empty() || meta.has_end != (r.end != 0)) return false;
  switch (r.kind) {
    case Kind::value: return true;
    case Kind::tombstone: return r.value.empty() && !meta.has_end;
    case Kind::pointer: return r.value.size() == kPointerSize;
  }
  return false;
}

}  // namespace scalio::layout
