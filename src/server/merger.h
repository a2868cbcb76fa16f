// Merger: brings published writes from the write slots into their buckets. A merge is of one
// bucket: one read and one write for all that is pending in it.
#pragma once

#include <unordered_set>
#include <vector>

#include "server/block_table.h"
#include "server/bucket_store.h"
#include "server/fail_stop.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/slot_queue.h"
#include "server/slot_repair.h"

namespace scalio::server {

struct MergeCounters {
  std::uint64_t merges = 0;  // buckets
  std::uint64_t merged_records = 0;
  std::uint64_t damaged_buckets = 0;  // found by a merge
};

class Merger {
 public:
  // Merges in flight: enough to keep an SSD busy, few enough to bound their buffers.
  static constexpr std::uint64_t kMaxMerges = 32;

  // `device` is asked for its name.
  Merger(Executor& executor, const block::BlockDevice& device, const layout::SsdGeometry& geometry,
         BlockTable& table, const Log& log, LogSpace& space, SlotQueue& queue, SlotRepair& repair,
         BucketStore& buckets, FailStop& stop);

  // Starts merging a block's coldest write if the next new key would find no slot, so that it need
  // not wait.
  void prepare(std::uint64_t block);
  // Starts merging the coldest write of a block whose write slots are all taken (rule 10).
  // Ok if a merge is under way; full or corrupt if none of the block's slots can be merged.
  Status relieve(std::uint64_t block);
  // Starts a merge of a bucket, unless one has begun that has not gathered its writes yet.
  void start(std::uint64_t bucket);

  // Merges started and not ended; waits until one ends; until none runs.
  std::uint64_t running() const { return running_; }
  auto one_ended() { return ended_.wait(); }
  Task<void> drain();

  // While the log is replayed: merges leave the buckets' applied LSN alone.
  void set_replaying(bool replaying) { replaying_ = replaying; }
  // The last merge that needed room in a neighbourhood of buckets found none.
  bool full() const { return full_; }
  Status no_room() const;
  // Ok, or the error after which nothing is written any more, as it came.
  const Status& failure() const { return stop_.failed() ? stop_.cause() : log_.failure(); }
  const MergeCounters& counters() const { return counters_; }

 private:
  struct SlotPlace {
    std::uint64_t block;
    std::uint32_t slot;
  };
  Task<void> merge(std::uint64_t bucket);
  std::vector<SlotPlace> gather(std::uint64_t bucket);
  Task<Status> read(const std::vector<SlotPlace>& places, std::vector<Change>& changes);
  void account(std::uint64_t bucket, std::size_t changes, const Status& merged);
  void conclude(const SlotPlace& at, const Change& change, const Status& merged);
  void note_room(std::uint64_t bucket, const Change& change, const Status& merged);

  Executor& executor_;
  const block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  BlockTable& table_;
  const Log& log_;
  LogSpace& space_;
  SlotQueue& queue_;
  SlotRepair& repair_;
  BucketStore& buckets_;
  FailStop& stop_;

  std::unordered_set<std::uint64_t> scheduled_;  // buckets whose merge has not gathered yet
  Semaphore permits_;
  std::uint64_t running_ = 0;
  WaitList ended_;
  bool replaying_ = false;
  bool full_ = false;
  std::unordered_set<std::uint64_t> reported_;  // damaged buckets, to log each once
  MergeCounters counters_;
};

}  // namespace scalio::server
