// The key hash and the checksum: both XXH3 (xxhash.com), both seeded.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace scalio {

// The 64-bit hash that places a key. The seed is secret to the store (superblock), so that nobody
// can choose keys that share a block or bucket.
std::uint64_t hash_key(std::string_view key, std::uint64_t seed);

// 64-bit checksum of bytes that belong at one place: `place` names it (store, position,
// generation), so that intact bytes at a wrong place fail too.
std::uint64_t checksum(ByteView bytes, std::uint64_t place);

// A bijective 64-bit mixer: combines parts of a place, derives independent bits from one hash.
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  return x ^ (x >> 32);
}

// Maps a hash uniformly to 0 .. n-1, keeping the order of hashes (fixed-point multiply).
constexpr std::uint64_t scale(std::uint64_t hash, std::uint64_t n) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(hash) * n) >> 64);
}

}  // namespace scalio
