// A record: what a key holds, wherever it is stored (slot, bucket or log).
#pragma once

#include <cstdint>
#include <string_view>

namespace scalio::layout {

constexpr std::size_t kMaxKey = 255;                     // bytes; a key has at least 1
constexpr std::uint64_t kMaxVersion = (1ULL << 48) - 1;  // versions are 48 bits everywhere

enum class Kind : std::uint8_t {
  value = 0,
  tombstone = 1,  // the key was deleted; never in a bucket
  pointer = 2,    // reserved: the value is a checked pointer into the value log
};

// Views into somebody else's bytes.
struct RecordView {
  std::string_view key;
  std::string_view value;
  std::uint64_t version = 0;
  Kind kind = Kind::value;
};

}  // namespace scalio::layout
