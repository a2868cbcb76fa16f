// BucketStore: reads and changes records in the buckets of one SSD. It knows where a record may be;
// the merge of write slots into buckets (rule 7) is built on it.
//
// A record is in its home bucket or, when that is full, in one of the next kMaxReach. Buckets are
// locked in ascending order, so that changes of neighbouring homes never wait for each other in a
// circle.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "block/block_device.h"
#include "block/buffer.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "server/bucket_room.h"
#include "server/move_counts.h"
#include "task/sync.h"

namespace scalio::server {

// What a merge does to one key.
struct Change {
  layout::RecordView record;  // a tombstone removes
  bool full = false;          // out: no room was found; what was stored of the key is untouched
  bool freed = false;         // out: what was stored of the key takes less room now
};

using Changes = std::vector<Change, PoolAllocator<Change>>;

class BucketStore {
 public:
  // Makes bucket images durable before the buckets are overwritten. On return with ok, a power cut
  // during the write in place is harmless. `written` is to be called when the buckets are in place.
  // `change`: by how much they change what all buckets hold.
  struct ImageLog {
    virtual Task<Status> log_image(const layout::ImageBuckets& image,
                                   const layout::BucketTotals& change, std::uint64_t* token) = 0;
    virtual void image_in_place(std::uint64_t token) = 0;
    // The next image has no such record any more, whose value is in the value log.
    virtual void pointer_dropped(const layout::RecordView&) {}

   protected:
    ~ImageLog() = default;
  };

  // Tells which records are of no use any more: which have ended, and of which nobody counts on
  // their room either.
  struct Droppable {
    virtual bool has_ended(const layout::RecordView& record) = 0;
    virtual bool may_drop(const layout::RecordView& record) = 0;

   protected:
    ~Droppable() = default;
  };

  BucketStore(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
              ImageLog& images, BucketRoom& room, MoveCounts& moves);

  // Holds a bucket, so that nobody else reads or changes it through this object.
  Task<void> lock(std::uint64_t bucket);
  // The same if nobody else holds it.
  bool try_lock(std::uint64_t bucket) { return locks_.try_emplace(bucket, executor_).second; }
  void unlock(std::uint64_t bucket);

  struct Found {
    std::uint64_t version = 0;  // 0: the key is not there
    std::string value;
    layout::Kind kind = layout::Kind::value;
    std::uint64_t end = 0;
    std::uint32_t bytes = 0;    // that its record takes of a bucket
    std::uint64_t applied = 0;  // of the home bucket
  };
  // Failures: corrupt (names the bucket and its place; also of a record that has an end), io_error.
  Task<Result<Found>> find(std::string_view key, std::uint64_t point);

  // Whether a record that takes so much would find room, in the place of the one that is there or
  // elsewhere. Failures: as of find().
  Task<Result<bool>> has_room(std::string_view key, std::uint64_t point, std::uint32_t bytes);
  // Records in the buckets where one of `home` may lie that have ended by that store time.
  struct Ended {
    std::string key;
    std::uint64_t version = 0;
  };
  Task<Result<std::vector<Ended>>> find_ended(std::uint64_t home, std::uint64_t time);

  // Tells BucketRoom what of a stretch is usable. Failures: io_error.
  Task<Status> measure(std::uint64_t stretch);

  // Applies changes, all of keys of `home`, which the caller has locked. A change that is not newer
  // than what is stored does nothing. Then `applied` is recorded in the home bucket, unless it is 0
  // or a change was full. Of the buckets that are written, records of `home` are left out that
  // `droppable`, if there is one, says. Failures: corrupt (some may have been applied), io_error
  // and what the image log fails with. After an io_error of a write nothing is written any more.
  Task<Status> apply(std::uint64_t home, Changes& changes, std::uint64_t applied,
                     Droppable* droppable = nullptr);

  // Writes a bucket, which must exist, as the log has it: recovery's first step.
  Task<Status> restore(layout::ImageBucket image);

 private:
  struct Page;
  struct Window;
  block::Buffer take_buffer();
  Task<Status> load(Window& window, std::uint32_t reach);
  Task<Status> read_page(std::uint64_t number, Page& page);
  Task<Status> place(Window& window, Change& change);
  Task<Status> remove(Window& window, Change& change);
  Task<Status> locate(Window& window, std::string_view key, Page** page);
  void drop(const layout::RecordView& record);
  void shrink(Window& window);
  void drop_ended(Window& window, Page& page);
  Task<Status> commit(Window& window);
  Task<Status> write_in_place(Window& window);
  void release(Window& window);
  Status damaged(std::uint64_t bucket) const;

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  const std::uint64_t store_id_;
  ImageLog& images_;
  BucketRoom& room_;
  MoveCounts& moves_;
  Semaphore measures_;  // at once: each has a stretch in memory
  // Those that wait for a bucket that is held.
  std::unordered_map<std::uint64_t, WaitList, std::hash<std::uint64_t>, std::equal_to<>,
                     PoolAllocator<std::pair<const std::uint64_t, WaitList>>>
      locks_;
  std::vector<block::Buffer> idle_buffers_;  // of bucket_size
  Status failure_;                           // of a write in place
};

}  // namespace scalio::server
