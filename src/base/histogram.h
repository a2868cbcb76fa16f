// Histogram: counts latencies so that percentiles over nine decades come out of fixed memory.
#pragma once

#include <cstdint>
#include <vector>

namespace scalio {

// Log-linear buckets, as in HdrHistogram: every power of two is divided into 2^bits equal buckets.
// So a percentile is at most 1/2^bits above the value recorded there and never below it; values
// under 2^(bits + 1) ns are exact. With 10 bits: 0.1 %, 2048 ns, and 225 KiB. Not thread-safe: one
// per thread, merged at the end.
class Histogram {
 public:
  // Longer values count as this one: 100 s.
  static constexpr std::uint64_t kMaxValue = 100'000'000'000;

  static constexpr unsigned kBits = 10;

  explicit Histogram(unsigned bits = kBits);

  // Counts a value, in nanoseconds. Never allocates.
  void record(std::uint64_t value);
  // Adds everything that `other`, which has as many bits, counted.
  void merge(const Histogram& other);
  // Forgets everything.
  void clear();

  std::uint64_t count() const { return count_; }

  // Of an empty histogram these have no meaning and must not be asked.
  //
  // The smallest value, to the precision above, that at least `percent` (0 to 100) of the values
  // are not over.
  std::uint64_t percentile(double percent) const;
  std::uint64_t min() const;  // exact
  std::uint64_t max() const;  // exact
  double mean() const;        // exact up to rounding

 private:
  unsigned bits_;
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = kMaxValue;
  std::uint64_t max_ = 0;
  unsigned __int128 sum_ = 0;
};

}  // namespace scalio
