// An aligned, fixed-size buffer for device I/O, zeroed at first.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>

#include "block/block_device.h"

namespace scalio::block {

class Buffer {
 public:
  explicit Buffer(std::size_t size)
      : size_(size),
        data_(static_cast<std::byte*>(std::aligned_alloc(BlockDevice::kBufferAlignment,
                                                         round_up(size, BlockDevice::kBufferAlignment)))) {
    SCALIO_ASSERT(data_ != nullptr);
    std::memset(data_.get(), 0, size);
  }
  ByteSpan span() { return {data_.get(), size_}; }
  ByteSpan first(std::size_t n) { return span().first(n); }
  std::byte* data() { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace scalio::block
