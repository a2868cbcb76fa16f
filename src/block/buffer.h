// An aligned, fixed-size buffer for device I/O, zeroed at first.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <optional>

#include "block/block_device.h"

namespace scalio::block {

class Buffer {
 public:
  explicit Buffer(std::size_t size) : Buffer(size, operator new(allocated(size), kAligned)) {}
  // For what is large: nothing if the system has not the memory.
  static std::optional<Buffer> try_create(std::size_t size) {
    void* const data = operator new(allocated(size), kAligned, std::nothrow);
    if (data == nullptr) return std::nullopt;
    return Buffer(size, data);
  }

  ByteSpan span() { return {data_.get(), size_}; }
  ByteSpan first(std::size_t n) { return span().first(n); }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAligned{BlockDevice::kBufferAlignment};
  static std::size_t allocated(std::size_t size) {
    return round_up(size, BlockDevice::kBufferAlignment);
  }
  Buffer(std::size_t size, void* data) : size_(size), data_(static_cast<std::byte*>(data)) {
    std::memset(data_.get(), 0, size);
  }

  struct Free {
    void operator()(std::byte* p) const { operator delete(p, kAligned); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace scalio::block
