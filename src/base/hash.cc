#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace scalio {

std::uint64_t hash_key(std::string_view key, std::uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

std::uint64_t checksum(ByteView bytes, std::uint64_t place) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), place);
}

}  // namespace scalio
