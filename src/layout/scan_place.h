// ScanPlace: a place in a store, as the ranges of scans and of archives have it.
#pragma once

#include <cstdint>

namespace scalio::layout {

// A home bucket of a shard. That behind a shard's last is the next one's first.
struct ScanPlace {
  static constexpr int kBucketBits = 48;

  std::uint64_t shard = 0;
  std::uint64_t bucket = 0;

  static ScanPlace unpack(std::uint64_t place) {
    return {place >> kBucketBits, place & ((std::uint64_t{1} << kBucketBits) - 1)};
  }
  std::uint64_t pack() const { return shard << kBucketBits | bucket; }
};

}  // namespace scalio::layout
