// Scrubber: walks over all write slots, slowly and for ever, and has those repaired that a client
// has damaged. What is written or merged again is found sooner; the walk is for what is only read.
#pragma once

#include "server/slot_repair.h"
#include "task/sync.h"

namespace scalio::server {

class Scrubber {
 public:
  // How often the owner calls step(), and the blocks that one looks at, for about 3 ms: 491,520 a
  // minute.
  static constexpr Nanos kInterval = kSecond;
  static constexpr std::uint64_t kBlocks = 8192;

  Scrubber(Executor& executor, BlockTable& table, SlotRepair& repair)
      : executor_(executor), table_(table), repair_(repair), ended_(executor) {}

  // Starts looking at the next stretch of blocks, unless the last stretch is not done.
  void step();
  // No step begins any more; waits until none runs.
  Task<void> stop();

 private:
  Task<void> walk(std::uint64_t blocks);

  Executor& executor_;
  BlockTable& table_;
  SlotRepair& repair_;
  std::uint64_t next_ = 0;
  bool running_ = false;
  bool stopping_ = false;
  WaitList ended_;
};

}  // namespace scalio::server
