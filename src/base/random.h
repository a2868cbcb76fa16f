// Random: seeded chance, the same on every machine, which the standard library's distributions are
// not. So a run can be repeated.
#pragma once

#include <cstdint>

#include "base/assert.h"
#include "base/hash.h"

namespace scalio {

// Equal seeds give equal sequences. Not thread-safe. Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed)) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  // 0 .. n-1
  std::uint64_t below(std::uint64_t n) {
    SCALIO_ASSERT(n > 0);
    return scale(next(), n);
  }
  // a .. b
  std::uint64_t between(std::uint64_t a, std::uint64_t b) { return a + below(b - a + 1); }
  // Uniform over [0, 1).
  double real() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // True in n cases of a million.
  bool chance(std::uint64_t n) { return n > 0 && below(1'000'000) < n; }
  bool coin() { return (next() & 1) != 0; }

 private:
  std::uint64_t state_;
};

}  // namespace scalio
