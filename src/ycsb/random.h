// Random: the seeded random numbers of a benchmark run, so that a run can be repeated.
#pragma once

#include <cstdint>

#include "base/hash.h"

namespace scalio::ycsb {

// Equal seeds give equal sequences. Not thread-safe: one per thread. Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed)) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  // Uniform over 0 .. n-1; n > 0.
  std::uint64_t below(std::uint64_t n) { return scale(next(), n); }
  // Uniform over [0, 1).
  double real() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace scalio::ycsb
