// Random: all chance of a simulation, from its seed. The same on every machine, which the standard
// library's distributions are not.
#pragma once

#include <cstdint>

#include "base/assert.h"
#include "base/hash.h"

namespace scalio::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed + 0x9e3779b97f4a7c15ULL)) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return mix(state_);
  }
  // 0 .. n-1
  std::uint64_t below(std::uint64_t n) {
    SCALIO_ASSERT(n > 0);
    return scale(next(), n);
  }
  // a .. b
  std::uint64_t between(std::uint64_t a, std::uint64_t b) { return a + below(b - a + 1); }
  // True in n cases of a million.
  bool chance(std::uint64_t n) { return n > 0 && below(1'000'000) < n; }
  bool coin() { return (next() & 1) != 0; }

 private:
  std::uint64_t state_;
};

}  // namespace scalio::sim
