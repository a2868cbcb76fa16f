// SendBuffer: bytes queued for a socket. Memory is taken from a small pool, which the buffers of
// one thread share, and given back when the buffer runs empty: idle connections hold none, and busy
// ones reuse warm memory.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace scalio::net {

class SendBuffer {
 public:
  struct Block {
    std::unique_ptr<std::byte[]> data;
    std::size_t size = 0;
  };
  class Pool {
   public:
    Block take(std::size_t size);
    void give_back(Block block);

   private:
    std::vector<Block> blocks_;
    std::size_t bytes_ = 0;
  };

  // The pool must outlive it.
  explicit SendBuffer(Pool& pool) : pool_(pool) {}
  ~SendBuffer() { pool_.give_back(std::move(block_)); }
  SendBuffer(const SendBuffer&) = delete;
  SendBuffer& operator=(const SendBuffer&) = delete;

  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  ByteView bytes() const { return {block_.data.get() + begin_, size()}; }

  // Room for `n` more bytes at the end, uninitialised. Invalidates what bytes() returned.
  ByteSpan append(std::size_t n);
  // Drops the first `n` bytes.
  void consume(std::size_t n);

 private:
  Pool& pool_;
  Block block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace scalio::net
