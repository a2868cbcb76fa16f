// OneSided: executes READ, WRITE and CAS on a mapped region in the order they are given, as a NIC
// does for one queue pair. The shm client uses it in its own mapping, the TCP stand-in for the NIC
// in the server's.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "fabric/region_access.h"

namespace scalio::fabric {

// The caller has checked that ranges lie in the region and that a CAS is at a multiple of 8.
class OneSided {
 public:
  explicit OneSided(ByteSpan region) : region_(region) {}

  void read(std::uint64_t offset, std::byte* into, std::size_t size) {
    // Fences order everything but a store before a load. Reads that follow no write stay free of
    // it.
    if (wrote_) full_fence();
    wrote_ = false;
    copy_from_region(into, region_.data() + offset, size);
    acquire_fence();
  }
  void write(std::uint64_t offset, const std::byte* from, std::size_t size) {
    release_fence();
    copy_to_region(region_.data() + offset, from, size);
    wrote_ = true;
  }
  std::uint64_t cas(std::uint64_t offset, std::uint64_t expected, std::uint64_t desired) {
    wrote_ = false;
    return cas_word(region_.data() + offset, expected, desired);
  }
  ByteSpan region() const { return region_; }

 private:
  ByteSpan region_;
  bool wrote_ = false;  // since the last full fence
};

}  // namespace scalio::fabric
