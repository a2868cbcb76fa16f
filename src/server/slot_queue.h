// SlotQueue: who waits for a block's write slots.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/pool.h"
#include "task/sync.h"

namespace scalio::server {

class SlotQueue {
 public:
  explicit SlotQueue(Executor& executor) : executor_(executor) {}

  // Waits until wake(block): a merge of the block has ended, or a slot of it became free.
  Task<void> wait(std::uint64_t block);
  // The same for a write that needs a slot. Meanwhile the block is starving, and writes that have
  // not begun give way: else a key that is always being written would keep its slot for ever.
  Task<void> wait_for_slot(std::uint64_t block);
  bool starving(std::uint64_t block) const { return starving_.contains(block); }

  void wake(std::uint64_t block);
  // A failure or the end. They look at why themselves.
  void wake_all();

 private:
  template <class T>
  using ByBlock = std::unordered_map<std::uint64_t, T, std::hash<std::uint64_t>, std::equal_to<>,
                                     PoolAllocator<std::pair<const std::uint64_t, T>>>;

  Executor& executor_;
  ByBlock<WaitList> waiting_;
  ByBlock<std::uint32_t> starving_;  // how many wait for a slot of it
};

}  // namespace scalio::server
