// KeyOrder: which commands of one connection may be in flight together.
//
// A client that sends commands without waiting for answers expects them to be done in its order.
// That is kept for commands on one key of which one writes; others begin together: GETs of a
// pipeline cost one wait, not one each, and writes share log batches. Keys are told apart by a few
// bits of their hash only: two that are taken for one wait for nothing, and go on.
#pragma once

#include <array>
#include <cstdint>

#include "base/hash.h"
#include "redis/command_call.h"

namespace scalio::redis {

class KeyOrder {
 public:
  // Whether it may begin beside those that have begun and not ended.
  bool may_begin(const CommandCall& call) const {
    // What is no command is refused at once.
    if (begun_ == 0 || call.row() == nullptr) return true;
    if (alone_ || (call.row()->flags & kAlone) != 0) return false;
    const bool writes = (call.row()->flags & kWrite) != 0;
    bool free = true;
    for_each_key(call, [&](std::string_view key) {
      const Use& use = uses_[place(key)];
      free = free && use.writers == 0 && (!writes || use.readers == 0);
    });
    return free;
  }
  void begin(const CommandCall& call) {
    ++begun_;
    alone_ = (call.row()->flags & kAlone) != 0;
    count(call, 1);
  }
  void end(const CommandCall& call) {
    --begun_;
    alone_ = false;
    count(call, -1);
  }

 private:
  struct Use {
    std::int32_t readers = 0;
    std::int32_t writers = 0;
  };
  static std::size_t place(std::string_view key) { return hash_key(key, 0) % kUses; }
  void count(const CommandCall& call, int by) {
    const bool writes = (call.row()->flags & kWrite) != 0;
    for_each_key(call, [&](std::string_view key) {
      Use& use = uses_[place(key)];
      (writes ? use.writers : use.readers) += by;
    });
  }

  static constexpr std::size_t kUses = 256;
  std::array<Use, kUses> uses_;
  std::size_t begun_ = 0;
  bool alone_ = false;
};

}  // namespace scalio::redis
