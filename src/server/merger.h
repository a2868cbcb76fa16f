// Merger: brings published writes from the write slots into their buckets, and keeps the log from
// filling up (checkpoints). A merge is per bucket: one read and one write for all that is pending
// in it.
//
// Log space: every write that is in a slot and not in its bucket will need bucket images in the log
// before its own record can be dropped. Their space is set aside when the write is admitted, so
// that a full log can always be emptied.
#pragma once

#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "server/block_table.h"
#include "server/bucket_store.h"
#include "server/log.h"
#include "server/slot_repair.h"

namespace scalio::server {

struct MergeCounters {
  std::uint64_t merges = 0;  // buckets
  std::uint64_t merged_records = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t damaged_buckets = 0;  // found by a merge
};

class Merger final : private BucketStore::ImageLog {
 public:
  // `fail` is called with the first device error; nothing is written after it.
  Merger(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
         BlockTable& table, Log& log, SlotRepair& repair, std::function<void(Status)> fail);

  BucketStore& buckets() { return buckets_; }

  // Starts merging a block's coldest write if the next new key would find no slot, so that it need
  // not wait.
  void prepare(std::uint64_t block);
  // Starts merging the coldest write of a block whose write slots are all taken (rule 10).
  // Ok if a merge is under way; full or corrupt if none of the block's slots can be merged.
  Status relieve(std::uint64_t block);
  // Waits until a merge of the block has ended or a slot of it became free.
  Task<void> wait_for(std::uint64_t block);
  void wake(std::uint64_t block);

  // Whether a record of this size may be added to the log now. Writes that were admitted are
  // counted with admit() when added and settle() when published (or failed).
  bool admits(std::uint32_t record_size) const;
  void admit(std::uint64_t lsn);
  void settle(std::uint64_t lsn);
  // Waits for log space after admits() said no; a checkpoint is started.
  Task<void> wait_for_log();

  // Merges every write older than `target` and drops the log before it, as far as possible.
  Task<Status> checkpoint(std::uint64_t target);
  // Starts checkpoints when the log fills up, until stop(). To be spawned once.
  Task<void> run();
  void stop();
  // Writers that wait for a slot of a block. Others of the block give way to them.
  bool starving(std::uint64_t block) const { return starving_.contains(block); }
  Task<void> wait_for_slot(std::uint64_t block);
  // Wakes all waiters: a failure or the end. They look at why themselves.
  void wake_all();

  // While the log is replayed: merges leave the buckets' applied LSN alone.
  void set_replaying(bool replaying) { replaying_ = replaying; }
  // The last merge that needed room in a neighbourhood of buckets found none.
  bool full() const { return full_; }
  Status no_room() const;
  // Ok, or the device error after which nothing is written any more.
  Status failure() const;
  // Waits until no merge and no checkpoint runs.
  Task<void> drain();
  const MergeCounters& counters() const { return counters_; }

 private:
  struct Captured {
    std::uint64_t block;
    std::uint32_t slot;
  };
  void start(std::uint64_t bucket);
  void give_up(const Status& why);
  Task<void> merge(std::uint64_t bucket);
  Task<Status> capture(const Captured& at, Change* change);
  Task<Status> log_again(std::uint64_t block, std::uint32_t slot);
  Task<Status> log_image(const std::vector<layout::ImageBucket>& image,
                         std::uint64_t* token) override;
  void image_in_place(std::uint64_t token) override;
  std::uint64_t reserved_per_write() const;
  std::uint64_t obligations() const { return table_.dirty() + unpublished_.size() + captured_; }
  bool wants_checkpoint() const;

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  BlockTable& table_;
  Log& log_;
  SlotRepair& repair_;
  std::function<void(Status)> fail_;
  BucketStore buckets_;

  std::unordered_set<std::uint64_t>
      scheduled_;  // buckets with a merge that has not gathered its writes yet
  Semaphore permits_;
  std::uint64_t running_ = 0;                 // merges started and not ended
  std::uint64_t captured_ = 0;                // writes that running merges have gathered
  std::multiset<std::uint64_t> unpublished_;  // LSNs of records added and not published
  std::multiset<std::uint64_t> images_;       // LSNs of images whose buckets are not yet in place
  std::unordered_map<std::uint64_t, std::unique_ptr<WaitList>> block_waiters_;
  std::unordered_map<std::uint64_t, std::uint32_t> starving_;  // blocks, and how many wait
  WaitList ended_;                                             // a merge has ended
  WaitList log_space_;
  WaitList work_;
  Status failed_;
  bool log_blocked_ = false;
  bool stopping_ = false;
  bool checkpointing_ = false;
  bool replaying_ = false;
  bool full_ = false;
  std::unordered_set<std::uint64_t> reported_;  // damaged buckets, to log each once
  MergeCounters counters_;
};

}  // namespace scalio::server
