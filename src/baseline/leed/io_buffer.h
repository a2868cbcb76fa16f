// IoBuffer: memory for one operation of a device, taken from a pool and given back when it goes, so
// that operations allocate nothing once the pool is warm. What is in it is what was left there.
#pragma once

#include <array>
#include <bit>
#include <memory>
#include <utility>
#include <vector>

#include "baseline/leed/leed_format.h"
#include "block/buffer.h"

namespace scalio::leed {

class IoBufferPool;

class IoBuffer {
 public:
  IoBuffer() = default;
  IoBuffer(IoBuffer&& o) noexcept
      : pool_(std::exchange(o.pool_, nullptr)), memory_(std::move(o.memory_)) {}
  IoBuffer& operator=(IoBuffer&& o) noexcept {
    std::swap(pool_, o.pool_);
    std::swap(memory_, o.memory_);
    return *this;
  }
  ~IoBuffer();

  std::uint32_t blocks() const {
    return memory_ ? static_cast<std::uint32_t>(memory_->size() / kBlock) : 0;
  }
  ByteSpan first(std::uint32_t blocks) { return memory_->first(blocks * std::size_t{kBlock}); }
  ByteSpan block(std::uint32_t i) {
    return memory_->span().subspan(i * std::size_t{kBlock}, kBlock);
  }

 private:
  friend class IoBufferPool;
  IoBuffer(IoBufferPool& pool, std::unique_ptr<block::Buffer> memory)
      : pool_(&pool), memory_(std::move(memory)) {}

  IoBufferPool* pool_ = nullptr;
  std::unique_ptr<block::Buffer> memory_;
};

// Belongs to one thread, and outlives its buffers.
class IoBufferPool {
 public:
  static constexpr std::uint32_t kMostBlocks = 1024;

  // At least so many blocks.
  IoBuffer take(std::uint32_t blocks) {
    SCALIO_ASSERT(blocks > 0 && blocks <= kMostBlocks);
    auto& kept = idle_[std::bit_width(blocks - 1)];
    if (kept.empty()) {
      return IoBuffer(*this, std::make_unique<block::Buffer>(std::bit_ceil(blocks) * kBlock));
    }
    std::unique_ptr<block::Buffer> memory = std::move(kept.back());
    kept.pop_back();
    return IoBuffer(*this, std::move(memory));
  }

 private:
  friend class IoBuffer;
  // Blocks of each size, so that 1,024 tokens' operations and eight compactions find theirs.
  static constexpr std::size_t kKept = 8192;

  void put_back(std::unique_ptr<block::Buffer> memory) {
    const auto blocks = static_cast<std::uint32_t>(memory->size() / kBlock);
    auto& kept = idle_[std::bit_width(blocks - 1)];
    if (kept.size() * blocks < kKept) kept.push_back(std::move(memory));
  }

  // By the powers of two of their blocks.
  std::array<std::vector<std::unique_ptr<block::Buffer>>, std::bit_width(kMostBlocks)> idle_;
};

inline IoBuffer::~IoBuffer() {
  if (memory_) pool_->put_back(std::move(memory_));
}

}  // namespace scalio::leed
