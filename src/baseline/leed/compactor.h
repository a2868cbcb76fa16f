// Compactor: when and what a circular log compacts; how is the log's own matter.
//
// A log is compacted from its head on, in chunks, several at a time. A chunk's space is free when
// it and all before it are done. It begins when little is free, and so much of what is in use is
// dead that it pays: near a full log it would else copy everything for little.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "baseline/leed/circular_space.h"
#include "task/sync.h"

namespace scalio::leed {

struct CompactionLimits {
  std::uint64_t chunk = 0;     // blocks at a time
  std::uint32_t parallel = 4;  // chunks at a time
  std::uint64_t start = 0;     // begins when fewer blocks are free
};

class Compactor {
 public:
  // Compacts the blocks from the first position to before the second: what lives there is elsewhere
  // when it ends with ok.
  using Chunk = std::function<Task<Status>(std::uint64_t, std::uint64_t)>;
  // Blocks that live, at most.
  using Live = std::function<std::uint64_t()>;

  Compactor(Executor& executor, CircularSpace& space, CompactionLimits limits, Chunk compact,
            Live live)
      : executor_(executor),
        space_(space),
        limits_(limits),
        compact_(std::move(compact)),
        live_(std::move(live)),
        changed_(executor) {}
  ~Compactor() { SCALIO_ASSERT(running_ == 0); }

  // To be called after recovery, and whenever space was taken or died.
  void consider();
  // Waits until space may have been freed, or it has turned out that it cannot be.
  Task<void> freed();
  // Ends all waiting, for good, and begins nothing more; idle() follows.
  void stop();
  bool stopped() const { return stopped_; }
  Task<void> idle();

  // Chunks that could not be compacted, and why the last one could not.
  std::uint64_t failures() const { return failures_; }
  const Status& failure() const { return failure_; }
  std::uint64_t chunks() const { return chunks_; }

 private:
  struct Running {
    std::uint64_t end;
    bool done = false;
  };
  bool wanted() const;
  void wake();
  Task<void> run(std::uint64_t begin, std::uint64_t end);
  void finish(std::uint64_t end, Status status);

  Executor& executor_;
  CircularSpace& space_;
  const CompactionLimits limits_;
  const Chunk compact_;
  const Live live_;
  std::uint64_t next_ = 0;      // where the next chunk begins, if not before the head
  std::deque<Running> window_;  // chunks from the head on
  std::uint32_t running_ = 0;
  bool given_up_ = false;         // until all that runs has ended, after a failure
  std::uint64_t retry_from_ = 0;  // by itself it begins again when the tail is here
  std::uint32_t waiting_ = 0;     // for space, and not yet woken
  bool stopped_ = false;
  std::uint64_t failures_ = 0;
  std::uint64_t chunks_ = 0;
  Status failure_;
  WaitList changed_;
};

}  // namespace scalio::leed
