// ValueMemory: what commands that go through a store have of large values in memory at once.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <utility>

#include "client/client_loop.h"
#include "task/sync.h"

namespace scalio::cli {

class ValueMemory {
 public:
  explicit ValueMemory(Client& client) : freed_(client::ClientLoop::of(client)) {}

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
    while (used_ > 0 && used_ + bytes > kMost) co_await freed_.wait();
    used_ += bytes;
    co_return Room(*this, bytes);
  }

 private:
  static constexpr std::uint64_t kMost = 128 << 20;  // two of the longest

  std::uint64_t used_ = 0;
  WaitList freed_;
};

}  // namespace scalio::cli
