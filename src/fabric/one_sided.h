// OneSided: executes READ, WRITE, CAS and read_block on a mapped region in the order they are
// given, as a NIC does for one queue pair. The shm client uses it in its own mapping, the TCP
// stand-in for the NIC in the server's.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "fabric/block_part.h"
#include "fabric/region_access.h"

namespace scalio::fabric {

// The caller has checked that ranges lie in the region and that a CAS or a block is at a multiple
// of 8.
class OneSided {
 public:
  explicit OneSided(ByteSpan region) : region_(region) {}

  void read(std::uint64_t offset, std::byte* into, std::size_t size) {
    after_writes();
    copy_from_region(into, region_.data() + offset, size);
    acquire_fence();
  }
  // Returns how many bytes it has read.
  std::size_t read_block(std::uint64_t offset, const layout::RegionGeometry& blocks,
                         std::uint32_t tag, std::byte* into) {
    after_writes();
    const std::byte* const block = region_.data() + offset;
    std::size_t bytes = 0;
    copy_block_part(blocks, tag, into, [&](std::uint32_t at, std::uint32_t size) {
      copy_from_region(into + at, block + at, size);
      bytes += size;
    });
    acquire_fence();
    return bytes;
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
  // Fences order everything but a store before a load. Reads that follow no write stay free of it.
  void after_writes() {
    if (wrote_) full_fence();
    wrote_ = false;
  }

  ByteSpan region_;
  bool wrote_ = false;  // since the last full fence
};

}  // namespace scalio::fabric
