// Two different keys that have one hash.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace scalio {

// For a hash seed; another pair for each `n`. XXH3 adds up, of 16 bytes, the one half with its
// bytes swapped, the other half, and their product, each half first made unequal to what was given
// by an XOR with a number that follows from the seed. So a half that comes to 0 takes the product
// away, and what the other half adds can as well come from the first.
inline std::pair<std::string, std::string> colliding_keys(std::uint64_t seed, std::uint64_t n) {
  const std::uint64_t first = (0x1f67b3b7a4a44072ULL ^ 0x78e5c0cc4ee679cbULL) + seed;
  const std::uint64_t second = (0x2172ffcc7dd05a82ULL ^ 0x8e2443f7744608b8ULL) - seed;
  const auto key = [&](std::uint64_t low, std::uint64_t high) {
    Bytes bytes(16);
    store(bytes.data(), low ^ first);
    store(bytes.data() + 8, high ^ second);
    return std::string(as_string(bytes));
  };
  const std::uint64_t x = n * 0x9e3779b97f4a7c15ULL + 1;
  return {key(0, x), key(__builtin_bswap64(x), 0)};
}

}  // namespace scalio
