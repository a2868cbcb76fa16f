// Merger: brings published writes from the write slots into their buckets. A merge is of one
// bucket: one read and one write for all that is pending in it.
#pragma once

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/latency_counts.h"
#include "base/ring.h"
#include "server/block_table.h"
#include "server/bucket_room.h"
#include "server/bucket_store.h"
#include "server/fail_stop.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/outstanding.h"
#include "server/slot_queue.h"
#include "server/slot_repair.h"

namespace scalio::server {

struct MergeCounters {
  std::uint64_t merges = 0;  // buckets
  std::uint64_t merged_records = 0;
  std::uint64_t damaged_buckets = 0;  // found by a merge
  std::uint64_t ended = 0;            // records that were dropped after their end
  std::uint64_t roomless = 0;         // records that found no room, which rule 14 rules out
};

class Merger final : private BucketStore::Droppable {
 public:
  // Merges at once: enough to keep an SSD busy, few enough to bound their buffers.
  static constexpr std::uint64_t kLeast = 16, kMost = 128;
  // Where nothing is known of the SSD.
  static constexpr std::uint64_t kUsual = 64;
  // On an SSD with such a queue, which so many slices share. Half of it is left to the log and to
  // the reads of clients.
  static std::uint64_t at_once(std::optional<std::uint32_t> queue, std::uint32_t slices) {
    if (!queue) return kUsual;
    return std::clamp<std::uint64_t>(*queue / 2 / slices, kLeast, kMost);
  }

  // A merge that a write waits for goes first.
  enum class Urgency : std::uint8_t { ahead, waited };

  // `device` is asked for its name. `most` merges run at once, 2 at least.
  Merger(Executor& executor, const block::BlockDevice& device, const layout::SsdGeometry& geometry,
         BlockTable& table, Log& log, LogSpace& space, SlotQueue& queue, SlotRepair& repair,
         BucketStore& buckets, BucketRoom& room, FailStop& stop, std::uint64_t most = kUsual);

  // Starts merging a block's coldest write if the next new key would find no slot, so that it need
  // not wait.
  void prepare(std::uint64_t block);
  // Starts merging the coldest write of a block whose write slots are all taken (rule 10).
  // Ok if a merge is under way; corrupt if none of the block's slots can be merged.
  Status relieve(std::uint64_t block);
  // Starts a merge of a bucket, unless one was started that has not gathered its writes yet.
  void start(std::uint64_t bucket, Urgency urgency = Urgency::ahead);
  // Starts merges of what is counted in BucketRoom near a home. Ok if there is something to wait
  // for; corrupt if only writes are left that cannot be merged.
  Status merge_counted(std::uint64_t home);
  // Starts merges of all writes near a home.
  void merge_near(std::uint64_t home);

  // How many run at once; merges started and not ended; at most how many have not begun; waits
  // until one ends; until those end that are started by now; until none runs.
  std::uint64_t most() const { return most_; }
  std::uint64_t running() const { return running_.size(); }
  std::uint64_t queued(Urgency urgency) const {
    return urgency == Urgency::waited ? waited_.size() : ahead_.size();
  }
  auto one_ended() { return ended_.wait(); }
  Task<void> await_started();
  // Whether a write of this home that was logged before `lsn` is not merged yet.
  bool unmerged(std::uint64_t home, std::uint64_t lsn);
  Task<void> drain();

  // While the log is replayed: merges leave the buckets' applied LSN alone.
  void set_replaying(bool replaying) { replaying_ = replaying; }
  // Ok, or the error after which nothing is written any more, as it came.
  const Status& failure() const { return stop_.failed() ? stop_.cause() : log_.failure(); }
  const MergeCounters& counters() const { return counters_; }
  // Of those that brought something into a bucket, each from when it had its turn.
  const LatencyCounts& latency() const { return latency_; }

 private:
  // A write that is merged: where it is published, and what.
  struct Gathered {
    std::uint64_t block;
    std::uint32_t slot;
    std::optional<BlockTable::Published> published;
    std::uint64_t lsn = 0;  // of that
  };
  template <class T>
  using List = std::vector<T, PoolAllocator<T>>;
  Task<void> work();
  std::optional<std::uint64_t> next();
  Task<void> merge(std::uint64_t bucket);
  List<Gathered> gather(std::uint64_t bucket);
  Task<Status> read(List<Gathered>& writes, Changes& changes);
  bool has_ended(const layout::RecordView& record) override;
  bool may_drop(const layout::RecordView& record) override;
  void account(std::uint64_t bucket, std::size_t changes, Nanos began, const Status& merged);
  void conclude(const Gathered& at, const Change& change, const Status& merged);
  void note_room(std::uint64_t bucket, const Change& change, const Status& merged);
  template <class F>
  void for_each_near(std::uint64_t home, F f);
  Status cannot_merge(const WriteSlot& stuck) const;

  Executor& executor_;
  const block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  BlockTable& table_;
  Log& log_;
  LogSpace& space_;
  SlotQueue& queue_;
  SlotRepair& repair_;
  BucketStore& buckets_;
  BucketRoom& room_;
  FailStop& stop_;
  const std::uint64_t most_;

  // Of a merge that has not gathered yet: the queue that it is in, or that it has begun.
  enum class Stage : std::uint8_t { ahead, waited, begun };
  struct Scheduled {
    Stage stage;
    std::uint64_t number;
  };
  std::unordered_map<std::uint64_t, Scheduled, std::hash<std::uint64_t>, std::equal_to<>,
                     PoolAllocator<std::pair<const std::uint64_t, Scheduled>>>
      scheduled_;  // by bucket
  // A bucket that is `waited` may still be in the other queue, where it is passed over.
  Ring<std::uint64_t> ahead_, waited_;
  std::uint64_t workers_ = 0;
  std::uint64_t begun_ = 0;
  std::uint64_t started_ = 0;  // so many; the number of the last
  Outstanding running_;
  WaitList ended_;
  bool replaying_ = false;
  std::unordered_set<std::uint64_t> reported_;  // damaged buckets, to log each once
  MergeCounters counters_;
  LatencyCounts latency_;
};

}  // namespace scalio::server
