// ValueMemory: what commands that go through a store or an archive have of large values in memory
// at once.
#pragma once

#include <cstdint>
#include <utility>

#include "task/sync.h"

namespace scalio::cli {

class ValueMemory {
 public:
  static constexpr std::uint64_t kMost = 128 << 20;  // two of the longest

  explicit ValueMemory(Executor& executor, std::uint64_t most = kMost)
      : most_(most), freed_(executor) {}

  // A part of it, until its end.
  class Room {
   public:
    Room(ValueMemory& memory, std::uint64_t bytes) : memory_(&memory), bytes_(bytes) {}
    Room(Room&& o) noexcept : memory_(std::exchange(o.memory_, nullptr)), bytes_(o.bytes_) {}
    ~Room() {
      if (memory_ == nullptr) return;
      memory_->used_ -= bytes_;
      memory_->freed_.wake_all();
    }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

   private:
    ValueMemory* memory_;
    std::uint64_t bytes_;
  };
  // Waits until there is room for so many bytes, or nothing else is in it.
  Task<Room> room(std::uint64_t bytes) {
    while (used_ > 0 && used_ + bytes > most_) co_await freed_.wait();
    used_ += bytes;
    co_return Room(*this, bytes);
  }

  std::uint64_t used() const { return used_; }

 private:
  const std::uint64_t most_;
  std::uint64_t used_ = 0;
  WaitList freed_;
};

}  // namespace scalio::cli
