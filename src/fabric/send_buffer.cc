#include "fabric/send_buffer.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"

namespace scalio::fabric {

namespace {

constexpr std::size_t kSmallestBlock = 16 * 1024;
// What a thread keeps at most: 4 MiB.
constexpr std::size_t kPooledBlocks = 4;
constexpr std::size_t kLargestPooled = 1024 * 1024;

thread_local std::vector<SendBuffer::Block> pool;

SendBuffer::Block take_block(std::size_t size) {
  if (!pool.empty()) {
    SendBuffer::Block block = std::move(pool.back());
    pool.pop_back();
    if (block.size >= size) return block;
  }
  size = std::max(size, kSmallestBlock);
  return {std::make_unique_for_overwrite<std::byte[]>(size), size};
}

void give_back(SendBuffer::Block block) {
  if (block.data && block.size <= kLargestPooled && pool.size() < kPooledBlocks)
    pool.push_back(std::move(block));
}

}  // namespace

SendBuffer::~SendBuffer() { give_back(std::move(block_)); }

ByteSpan SendBuffer::append(std::size_t n) {
  if (block_.size - end_ < n) {
    Block next = take_block(std::max(2 * size(), size() + n));
    std::ranges::copy(bytes(), next.data.get());
    give_back(std::move(block_));
    block_ = std::move(next);
    end_ = size();
    begin_ = 0;
  }
  end_ += n;
  return {block_.data.get() + end_ - n, n};
}

void SendBuffer::consume(std::size_t n) {
  SCALIO_ASSERT(n <= size());
  begin_ += n;
  if (!empty()) return;
  begin_ = end_ = 0;
  give_back(std::move(block_));
  block_ = {};
}

}  // namespace scalio::fabric
