// Checkpointer: keeps the log from filling up. A checkpoint merges every write up to a place in the
// log, and drops the log before it.
#pragma once

#include "server/block_table.h"
#include "server/bucket_images.h"
#include "server/large_values.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/merger.h"
#include "server/slot_repair.h"

namespace scalio::server {

class Checkpointer {
 public:
  Checkpointer(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
               BlockTable& table, Log& log, LogSpace& space, BucketImages& images,
               SlotRepair& repair, Merger& merger, LargeValues& values, FailStop& stop)
      : executor_(executor),
        device_(device),
        geometry_(geometry),
        table_(table),
        log_(log),
        space_(space),
        images_(images),
        repair_(repair),
        merger_(merger),
        values_(values),
        stop_(stop),
        ended_(executor) {}

  // Starts checkpoints when the log fills up, until stop(). To be spawned once.
  Task<void> run();
  void stop();
  // Waits until no checkpoint runs.
  Task<void> drain();

  // Merges every write older than `target` and drops the log before it, as far as possible.
  Task<Status> checkpoint(std::uint64_t target);

  // Checkpoints begun; whether one has not ended.
  std::uint64_t count() const { return count_; }
  bool running() const { return running_; }

 private:
  std::uint64_t next_target(bool all) const;
  Task<Status> merge_before(std::uint64_t target);
  Task<Status> log_again(std::uint64_t block, std::uint32_t slot);
  Task<Status> drop_before(std::uint64_t target);

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  BlockTable& table_;
  Log& log_;
  LogSpace& space_;
  BucketImages& images_;
  SlotRepair& repair_;
  Merger& merger_;
  LargeValues& values_;
  FailStop& stop_;
  WaitList ended_;
  std::uint64_t count_ = 0;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace scalio::server
