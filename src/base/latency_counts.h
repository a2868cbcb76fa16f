// LatencyCounts: how many durations were how long, for who watches from outside: buckets that never
// change, of counts since the start, so that what one has read may be subtracted and added up.
// Coarse and small, where a Histogram is fine and large.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace scalio {

class LatencyCounts {
 public:
  // 16 us, 32 us and so on to 16.8 s, and a bucket for what is longer.
  static constexpr std::size_t kBounds = 21;
  // The longest duration that is in bucket `i`, in nanoseconds.
  static constexpr std::uint64_t bound(std::size_t i) { return kFirst << i; }

  // Of nanoseconds.
  void record(std::uint64_t ns) {
    const std::size_t i = ns == 0 ? 0 : std::bit_width((ns - 1) / kFirst);
    ++counts_[i < kBounds ? i : kBounds];
    sum_ += ns;
  }

  // Of each bucket alone, the last being of what is longer than all bounds.
  const std::array<std::uint64_t, kBounds + 1>& counts() const { return counts_; }
  std::uint64_t sum() const { return sum_; }  // of all, in nanoseconds

 private:
  static constexpr std::uint64_t kFirst = 16'000;
  std::array<std::uint64_t, kBounds + 1> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace scalio
