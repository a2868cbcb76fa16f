// The yardstick of GET hits: copying a block's bytes out of the server's region, and nothing else.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "fabric/mapping.h"
#include "layout/geometry.h"
#include "measured_process.h"

namespace scalio::bench {

// A second mapping of the region of a running server with one SSD.
class RegionCopy {
 public:
  static constexpr std::size_t kBlock =
      1088;  // of 8 read and 2 write slots for 16 B + 64 B records

  explicit RegionCopy(const Process& server);

  // A block to copy, at random.
  std::uint64_t choose() { return random_.below(region_.size() / kBlock); }
  // Copies it, as the client's transport does.
  void copy(std::uint64_t block);

 private:
  fabric::Mapping region_;
  Random random_{7};
  alignas(64) std::byte into_[kBlock];
};

}  // namespace scalio::bench
