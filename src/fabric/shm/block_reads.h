// BlockReads: the hash blocks that a loop's shared-memory connections are asked for at one time.
//
// Reading a block takes as long as the memory takes to bring two or three lines that no CPU has
// near. Several blocks come in the time of one: so the first to be asked for wait until the turn of
// the loop ends, or kTogether have come.
#pragma once

#include <array>

#include "fabric/fabric.h"
#include "task/event_loop.h"

namespace scalio::fabric {

class ShmConnection;

// One for each loop (EventLoop::local), which it lives as long as.
class BlockReads final : public TurnEnd {
 public:
  // A read_block of a connection, which reads it at the latest when the loop's turn ends.
  void add(EventLoop& loop, ShmConnection& connection, Op& op);
  bool waiting() const { return count_ > 0; }
  void read_all();
  // Completes those of a connection that has ended.
  void drop(ShmConnection& connection, Executor& executor);

 private:
  static constexpr std::size_t kTogether = 16;
  struct Waiting {
    ShmConnection* connection;
    Op* op;  // null: dropped
  };
  void on_turn_end() override;

  std::array<Waiting, kTogether> reads_;
  std::size_t count_ = 0;
  bool at_turn_end_ = false;  // on_turn_end() will be called
};

}  // namespace scalio::fabric
