// An aligned, fixed-size buffer for device I/O, zeroed at first, or unset.
#pragma once

#include <cstring>
#include <memory>
#include <new>

#include "block/block_device.h"

namespace scalio::block {

class Buffer {
 public:
  explicit Buffer(std::size_t size) : Buffer(size, Unset()) { std::memset(data_.get(), 0, size); }
  // For who writes all of its bytes before any is used.
  static Buffer unset(std::size_t size) { return Buffer(size, Unset()); }
  ByteSpan span() { return {data_.get(), size_}; }
  ByteSpan first(std::size_t n) { return span().first(n); }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Unset {};
  Buffer(std::size_t size, Unset)
      : size_(size),
        data_(static_cast<std::byte*>(operator new(round_up(size, BlockDevice::kBufferAlignment),
                                                   kAligned))) {}
  static constexpr std::align_val_t kAligned{BlockDevice::kBufferAlignment};
  struct Free {
    void operator()(std::byte* p) const { operator delete(p, kAligned); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace scalio::block
