// What a region says of records that move between buckets (docs/formats.md, "Region"; rule 13).
#pragma once

#include <cstdint>

namespace scalio::layout {

// Of the homes that share a count: how many moves were begun, ever, and how many of these have not
// ended. One word: who reads it has both of one moment.
struct MoveCount {
  static constexpr std::uint64_t kMostUnderWay = (1 << 16) - 1;

  std::uint64_t begun = 0;  // modulo 2^48
  std::uint16_t under_way = 0;

  static MoveCount unpack(std::uint64_t w) { return {w >> 16, static_cast<std::uint16_t>(w)}; }
  std::uint64_t pack() const { return begun << 16 | under_way; }
};

}  // namespace scalio::layout
