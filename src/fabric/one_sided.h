// OneSided: executes READ, WRITE, CAS and read_block on a mapped region in the order they are
// given, as a NIC does for one queue pair. The shm client uses it in its own mapping, the TCP
// stand-in for the NIC in the server's.
#pragma once

#include <array>
#include <bit>
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
  // For one who has several blocks to read: brings their headers near, and then, by what these say
  // now, their bodies, so that the memory works on all at once. What is read is what read_block()
  // finds.
  void prefetch_header(std::uint64_t offset, const layout::RegionGeometry& blocks) const {
    prefetch_region(region_.data() + offset, blocks.header_end());
  }
  void prefetch_bodies(std::uint64_t offset, const layout::RegionGeometry& blocks,
                       std::uint32_t tag) const {
    std::array<std::byte, kMostHeader> header;
    const std::byte* const block = region_.data() + offset;
    copy_from_region(header.data(), block, blocks.header_end());
    layout::SlotSet slots = layout::readable_slots(blocks, header.data(), tag);
    if (slots == 0) slots = (layout::SlotSet{1} << blocks.read_slots) - 1;  // when they were filled
    for (; slots != 0; slots &= slots - 1) {
      const auto slot = static_cast<std::uint32_t>(std::countr_zero(slots));
      prefetch_region(block + blocks.body(slot), kBodyNear);
    }
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
  static constexpr std::size_t kMostHeader =
      layout::RegionGeometry{.read_slots = layout::RegionGeometry::kMaxReadSlots,
                             .write_slots = layout::RegionGeometry::kMaxWriteSlots}
          .header_end();
  // Of a body: as much as a small record takes.
  static constexpr std::size_t kBodyNear = 128;

  // Fences order everything but a store before a load. Reads that follow no write stay free of it.
  void after_writes() {
    if (wrote_) full_fence();
    wrote_ = false;
  }

  ByteSpan region_;
  bool wrote_ = false;  // since the last full fence
};

}  // namespace scalio::fabric
