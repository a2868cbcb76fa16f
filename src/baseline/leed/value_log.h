// ValueLog: the circular log of values, which are nothing but their bytes. What is appended begins
// on a block of its own; what compaction moves is packed in units, each value on one of its own.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "baseline/leed/bucket_id_log.h"
#include "baseline/leed/bucket_log.h"

namespace scalio::leed {

class ValueLog {
 public:
  // `id_blocks`: of the bucket-id log, written at a time.
  ValueLog(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
           IoBufferPool& pool, SegmentLocks& locks, BucketLog& buckets, CompactionLimits limits,
           std::uint32_t id_blocks);

  // The least blocks that a log with these limits needs, and the least `id_blocks`.
  static std::uint64_t least_blocks(const CompactionLimits& limits);
  static std::uint64_t least_id_blocks(const CompactionLimits& limits);

  // Goes on where recovery found head and tail, with these values, in order.
  Task<Status> resume(std::uint64_t head, std::uint64_t tail, std::uint64_t live_units,
                      const std::vector<BucketIdLog::Mark>& marks);

  const CircularSpace& space() const { return space_; }
  Compactor& compactor() { return compactor_; }
  const Compactor& compactor() const { return compactor_; }
  BucketIdLog& ids() { return ids_; }

  // Room for a value of a bucket at the tail; returns its block. It is pending until settle().
  // Nobody who holds a lock may wait for this. Failures: full, io_error (of the bucket-id log).
  Task<Result<std::uint64_t>> allocate(std::uint32_t value_length, std::uint32_t id);
  // Says that the bucket with this value is on the SSD, or never will be.
  void settle(std::uint64_t block);
  // Says that a value has come to live, or died.
  void count_live(std::uint32_t value_length) { live_units_ += units_of(value_length); }
  void count_dead(std::uint32_t value_length) {
    live_units_ -= std::min<std::uint64_t>(live_units_, units_of(value_length));
  }

  // The write of a value, durable. `bytes`: whole blocks.
  block::Io write(std::uint64_t block, ByteView bytes) {
    return device_.write(geometry_.value_at(block), bytes, block::Durability::stable);
  }
  // Whether the item of a bucket, read when the head was there, can be a value's.
  bool plausible(const BucketItem& item, std::uint64_t head) const;
  // One read, of what is plausible. Nothing if the log has given up the place meanwhile. Failures:
  // io_error.
  Task<Result<std::optional<std::string>>> read(std::uint64_t place, std::uint32_t length);

 private:
  // A part of a chunk: what of it is compacted at once.
  struct Entry {
    std::uint32_t id;
    Segment segment;
    Status loaded;
    bool moves = false;  // has a value that lives
  };
  struct Live {
    std::size_t entry;
    std::uint32_t item;
    std::uint64_t place;
    std::uint32_t length;
  };
  struct Batch {
    std::vector<Entry> entries;  // by their ids
    std::vector<Live> live;
  };
  using Marks = std::span<const BucketIdLog::Mark>;

  std::uint64_t floor() const;
  std::uint64_t live_blocks() const { return (live_units_ + 1) / kUnitsPerBlock; }
  Status full(const std::string& why) const;
  Task<Status> compact(std::uint64_t begin, std::uint64_t end);
  Marks next_batch(Marks marks) const;
  std::uint64_t buckets_of(Marks marks) const;
  Task<Status> compact_batch(ByteSpan chunk, std::uint64_t begin, std::uint64_t end, Marks marks);
  Task<Status> lock(Batch& batch, Marks marks);
  Task<void> load(Entry& entry);
  void find_live(Batch& batch, Marks marks);
  static std::uint64_t blocks_to_move(const Batch& batch);
  void release(Batch& batch, bool clean);
  Task<Status> read_beyond(const Batch& batch, ByteSpan chunk, std::uint64_t begin,
                           std::uint64_t end);
  Task<Result<std::uint64_t>> place(std::uint32_t blocks);
  Task<Status> move(BucketLog::Reservation& reservation, Batch& batch, ByteSpan chunk,
                    std::uint64_t begin);
  Task<Status> append(BucketLog::Reservation& reservation, Batch& batch);

  Executor& executor_;
  block::BlockDevice& device_;
  const LeedGeometry& geometry_;
  IoBufferPool& pool_;
  SegmentLocks& locks_;
  BucketLog& buckets_;
  const CompactionLimits limits_;
  CircularSpace space_;
  BucketIdLog ids_;
  std::uint64_t live_units_ = 0;
  Compactor compactor_;
};

}  // namespace scalio::leed
