// CircularSpace: which blocks of a circular log are in use. Positions never repeat: the block of
// one is at the position modulo the size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/assert.h"

namespace scalio::leed {

class CircularSpace {
 public:
  // `slack` blocks are never used.
  CircularSpace(std::uint64_t size, std::uint64_t slack) : size_(size), slack_(slack) {
    SCALIO_ASSERT(slack < size);
  }

  std::uint64_t size() const { return size_; }
  std::uint64_t head() const { return head_; }
  std::uint64_t tail() const { return tail_; }
  std::uint64_t used() const { return tail_ - head_; }
  std::uint64_t free() const { return size_ - slack_ - used(); }
  // The most that can be in use at a time.
  std::uint64_t capacity() const { return size_ - slack_; }

  void resume(std::uint64_t head, std::uint64_t tail) {
    SCALIO_ASSERT(head <= tail && tail - head <= capacity() && pending_.empty());
    head_ = head;
    tail_ = tail;
  }
  // Blocks from the tail to the end of the ring.
  std::uint64_t before_end() const { return size_ - tail_ % size_; }

  // Takes so many blocks at the tail, and returns where. They do not cross the end of the ring:
  // what is left before it may be passed over. What is written there is pending until settle():
  // before, nobody knows yet whether it lives.
  std::optional<std::uint64_t> allocate(std::uint64_t blocks) {
    const std::uint64_t skip = before_end() < blocks ? before_end() : 0;
    if (free() < skip + blocks) return std::nullopt;
    const std::uint64_t begin = tail_ + skip;
    tail_ = begin + blocks;
    pending_.push_back({begin, false});
    return begin;
  }
  void settle(std::uint64_t begin) {
    const auto p = std::ranges::lower_bound(pending_, begin, {}, &Pending::begin);
    SCALIO_ASSERT(p != pending_.end() && p->begin == begin && !p->settled);
    p->settled = true;
    while (!pending_.empty() && pending_.front().settled) pending_.pop_front();
  }
  // Of everything before it, it is known whether it lives.
  std::uint64_t settled() const { return pending_.empty() ? tail_ : pending_.front().begin; }

  // Frees what is before a position.
  void advance(std::uint64_t head) {
    SCALIO_ASSERT(head_ <= head && head <= settled());
    head_ = head;
  }
  // The position in use that lies at a block of the ring.
  std::uint64_t position_of(std::uint64_t slot) const {
    const std::uint64_t at = head_ % size_;
    return head_ + (slot >= at ? slot - at : slot + size_ - at);
  }

 private:
  struct Pending {
    std::uint64_t begin;
    bool settled;
  };

  const std::uint64_t size_;
  const std::uint64_t slack_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  std::deque<Pending> pending_;  // in the order of positions
};

}  // namespace scalio::leed
