#include "net/send_buffer.h"

#include <algorithm>

#include "base/assert.h"

namespace scalio::net {

namespace {

constexpr std::size_t kSmallestBlock = 16 * 1024;
// What a pool keeps at most.
constexpr std::size_t kMostPooled = 4 * 1024 * 1024;
constexpr std::size_t kLargestPooled = 1024 * 1024;

}  // namespace

SendBuffer::Block SendBuffer::Pool::take(std::size_t size) {
  if (!blocks_.empty()) {
    Block block = std::move(blocks_.back());
    blocks_.pop_back();
    bytes_ -= block.size;
    if (block.size >= size) return block;
  }
  size = std::max(size, kSmallestBlock);
  return {std::make_unique_for_overwrite<std::byte[]>(size), size};
}

void SendBuffer::Pool::give_back(Block block) {
  if (!block.data || block.size > kLargestPooled || bytes_ + block.size > kMostPooled) return;
  bytes_ += block.size;
  blocks_.push_back(std::move(block));
}

ByteSpan SendBuffer::append(std::size_t n) {
  if (block_.size - end_ < n) {
    Block next = pool_.take(std::max(2 * size(), size() + n));
    copy_bytes(bytes(), next.data.get());
    pool_.give_back(std::move(block_));
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
  pool_.give_back(std::move(block_));
  block_ = {};
}

}  // namespace scalio::net
