// BufferPool: memory for commands' data, aligned for device I/O and warm from the last use.
#pragma once

#include <array>
#include <bit>
#include <memory>
#include <new>
#include <vector>

#include "base/assert.h"
#include "block/block_device.h"

namespace scalio::nvmf {

// Belongs to one thread. Buffers hold what their last user left in them.
class BufferPool {
 public:
  // What it keeps for later at most, in bytes.
  static constexpr std::size_t kMaxKept = 8 * 1024 * 1024;
  static constexpr std::size_t kMaxBuffer = 1024 * 1024;

  static constexpr std::align_val_t kAligned{block::BlockDevice::kBufferAlignment};
  struct Free {
    void operator()(std::byte* p) const { operator delete(p, kAligned); }
  };
  using Buffer = std::unique_ptr<std::byte, Free>;

  // What a buffer for `size` bytes takes of memory.
  static constexpr std::size_t footprint(std::size_t size) { return kSmallest << class_of(size); }

  // Room for `size` bytes, 1 to kMaxBuffer.
  Buffer take(std::size_t size) {
    const std::size_t c = class_of(size);
    if (kept_[c].empty())
      return Buffer(static_cast<std::byte*>(operator new(kSmallest << c, kAligned)));
    Buffer buffer = std::move(kept_[c].back());
    kept_[c].pop_back();
    kept_bytes_ -= kSmallest << c;
    return buffer;
  }
  // `size` as it was taken.
  void give_back(Buffer buffer, std::size_t size) {
    const std::size_t c = class_of(size);
    if (kept_bytes_ + (kSmallest << c) > kMaxKept) return;
    kept_bytes_ += kSmallest << c;
    kept_[c].push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kSmallest = 4096;
  static constexpr std::size_t kClasses = std::bit_width(kMaxBuffer / kSmallest);

  // Of class c are buffers of kSmallest << c bytes.
  static constexpr std::size_t class_of(std::size_t size) {
    SCALIO_ASSERT(size > 0 && size <= kMaxBuffer);
    return static_cast<std::size_t>(std::bit_width((size - 1) / kSmallest));
  }

  std::array<std::vector<Buffer>, kClasses> kept_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace scalio::nvmf
