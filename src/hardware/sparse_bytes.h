// SparseBytes: the contents of an SSD of the model, which are mostly zeros: what was never written,
// and the rest of blocks that a small value does not fill. Of a block it keeps what is before its
// last byte that is not 0. Where nothing was ever written it keeps nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace scalio::hardware {

class SparseBytes {
 public:
  static constexpr std::uint32_t kBlock = 512;

  // `size` bytes of zeros, a multiple of kBlock. 8 bytes of memory for each 2 MiB, and 8 a block
  // where anything was written.
  explicit SparseBytes(std::uint64_t size)
      : size_(size), tables_((size / kBlock + kTable - 1) / kTable) {}

  std::uint64_t size() const { return size_; }
  // `offset` and sizes are multiples of kBlock.
  void read(std::uint64_t offset, ByteSpan into) const;
  void write(std::uint64_t offset, ByteView from);
  // Bytes of memory that hold contents.
  std::uint64_t held() const { return chunks_.size() * kChunk; }

 private:
  // Blocks are kept in sizes that are multiples of this.
  static constexpr std::uint32_t kGrain = 16;
  static constexpr std::uint32_t kSizes = kBlock / kGrain + 1;
  static constexpr std::uint64_t kChunk = 1 << 20;
  static constexpr std::uint64_t kTable = 4096;  // blocks
  // Where a block is kept: grains from the begin of all chunks, and how many it has. 0: zeros.
  struct Place {
    std::uint64_t grains : 6 = 0;
    std::uint64_t at : 58 = 0;
  };
  static std::uint32_t used(const std::byte* block);
  // Of the block that begins at an offset.
  Place place(std::uint64_t offset) const {
    const std::uint64_t block = offset / kBlock;
    const std::unique_ptr<Place[]>& table = tables_[block / kTable];
    return table ? table[block % kTable] : Place();
  }
  Place& make_place(std::uint64_t offset) {
    const std::uint64_t block = offset / kBlock;
    std::unique_ptr<Place[]>& table = tables_[block / kTable];
    if (!table) table = std::make_unique<Place[]>(kTable);
    return table[block % kTable];
  }
  std::byte* memory(const Place& place) const {
    constexpr std::uint64_t kPer = kChunk / kGrain;
    return chunks_[place.at / kPer].get() + place.at % kPer * kGrain;
  }
  std::uint64_t allocate(std::uint32_t grains);

  const std::uint64_t size_;
  std::vector<std::unique_ptr<Place[]>> tables_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::uint64_t next_ = 0, end_ = 0;  // what is unused of the last chunk, in grains
  std::array<std::vector<std::uint64_t>, kSizes> free_;  // places of blocks, by size
};

}  // namespace scalio::hardware
