// BucketLog: the circular log of segments. A segment is changed by writing all of it anew at the
// tail; from then on the index points there, and what was there before is dead.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "baseline/leed/circular_space.h"
#include "baseline/leed/compactor.h"
#include "baseline/leed/segment.h"
#include "baseline/leed/segment_index.h"
#include "baseline/leed/segment_locks.h"
#include "block/block_device.h"

namespace scalio::leed {

// Who takes space. When little is left, those who give some back are served first: a compaction of
// this log always, then one of the value log, then removals.
enum class SpaceFor : std::uint8_t { value_compaction, remove, set };

class BucketLog {
 public:
  BucketLog(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
            IoBufferPool& pool, SegmentLocks& locks, CompactionLimits limits);

  // The least blocks that a log with these limits needs.
  static std::uint64_t least_blocks(const CompactionLimits& limits);

  // Goes on where recovery found head and tail.
  void resume(SegmentIndex index, std::uint64_t head, std::uint64_t tail);

  const SegmentIndex& index() const { return index_; }
  const CircularSpace& space() const { return space_; }
  Compactor& compactor() { return compactor_; }
  const Compactor& compactor() const { return compactor_; }
  // Why it takes nothing any more (read_only): a write failed, and what is on the SSD is not known.
  const Status& failure() const { return failure_; }

  // What a compaction of the value log may append at a time.
  std::uint64_t batch_blocks() const { return limits_.chunk; }

  // Blocks that were promised, and go back when it does. Must not outlive the log.
  class Reservation {
   public:
    explicit Reservation(BucketLog& log) : log_(log) {}
    ~Reservation() { release(blocks); }
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    void release(std::uint64_t n) {
      blocks -= n;
      log_.reserved_ -= n;
    }
    std::uint64_t blocks = 0;

   private:
    BucketLog& log_;
  };
  // Makes the reservation so large, if need be after a compaction. Nobody who holds a lock may wait
  // for this. Failures: full, read_only.
  Task<Status> reserve(Reservation& reservation, std::uint64_t blocks, SpaceFor what);
  // The same without waiting: false if it would have to.
  bool try_reserve(Reservation& reservation, std::uint64_t blocks, SpaceFor what);

  // A segment as the index has it, for one who holds its lock. Absent if there is none. Failures:
  // io_error, corrupt.
  Task<Result<Segment>> load(std::uint32_t id);
  // For one who holds no lock. `moved`: counts how often it had to be read again.
  Task<Result<Segment>> read(std::uint32_t id, std::uint64_t& moved);

  struct Piece {
    std::uint32_t id;
    std::uint32_t blocks;
  };
  // Writes whole segments, one behind the other in `bytes`, durably, and then has the index point
  // there; an empty one is forgotten. The caller has their locks, and reserved the space.
  // Failures: io_error, after which the log is read_only.
  Task<Status> append(Reservation& reservation, ByteSpan bytes, std::span<const Piece> pieces);

 private:
  friend class Reservation;
  struct Found {
    Piece piece;
    std::uint64_t position;
  };
  std::uint64_t floor(SpaceFor what) const;
  Status full(const char* why) const;
  Status damaged(std::uint32_t id, std::uint64_t position) const;
  Task<Status> write(ByteSpan bytes, std::span<const Piece> pieces);
  Task<Status> write_run(ByteSpan bytes, std::span<const Piece> pieces);
  void fail(std::string why);
  void seal(ByteSpan bytes, std::span<const Piece> pieces, std::uint64_t begin) const;
  void commit(ByteView bytes, std::span<const Piece> pieces, std::uint64_t begin);
  Task<Status> compact(std::uint64_t begin, std::uint64_t end);
  bool lives(const Found& found) const;
  Result<std::vector<Found>> find_live(ByteView bytes, std::uint64_t begin,
                                       std::uint64_t end) const;
  Task<Status> move(ByteSpan bytes, std::uint64_t begin, const std::vector<Found>& live);

  block::BlockDevice& device_;
  const LeedGeometry& geometry_;
  IoBufferPool& pool_;
  SegmentLocks& locks_;
  const CompactionLimits limits_;
  SegmentIndex index_;
  CircularSpace space_;
  std::uint64_t reserved_ = 0;
  Status failure_;
  Compactor compactor_;
};

}  // namespace scalio::leed
