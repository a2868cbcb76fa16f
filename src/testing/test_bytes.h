// What the tests of the formats share: bytes as hex, bit flips, random bytes.
#pragma once

#include <random>
#include <string>

#include "base/bytes.h"

namespace scalio::layout {

inline std::string hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::byte b : bytes) {
    out += kDigits[std::to_integer<unsigned>(b) >> 4];
    out += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

inline void flip(ByteSpan bytes, std::size_t bit) { bytes[bit / 8] ^= std::byte{1} << bit % 8; }

inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes out(size);
  for (std::byte& b : out) b = static_cast<std::byte>(random());
  return out;
}

inline std::string random_text(std::mt19937_64& random, std::size_t size) {
  return std::string(as_string(random_bytes(random, size)));
}

}  // namespace scalio::layout
