// BucketIdLog: for each unit of the value log the id of the bucket whose value begins there, so
// that the value log's compaction finds what lives without knowing keys.
//
// The last blocks are in memory, and are written when many are full; nobody waits for it, and a
// crash loses them: what is on the SSD is used by the process that wrote it only, and a restart
// writes it anew from the buckets.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "baseline/leed/leed_format.h"
#include "block/block_device.h"
#include "block/buffer.h"
#include "task/sync.h"

namespace scalio::leed {

class BucketIdLog {
 public:
  // The place of a value, in units, and the id of its bucket.
  struct Mark {
    std::uint64_t place;
    std::uint32_t id;
    bool operator==(const Mark&) const = default;
  };

  // `blocks` are written at a time. Those of what is marked together are no more.
  BucketIdLog(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
              std::uint32_t blocks);
  ~BucketIdLog() { SCALIO_ASSERT(!writing_); }

  // For a value log that reaches from one block to before another, with these marks, in order.
  // Failures: io_error.
  Task<Status> rebuild(std::uint64_t head, std::uint64_t tail, const std::vector<Mark>& marks);

  // Waits until marks up to this unit have room. Failures: io_error, after which it may be tried
  // again.
  Task<Status> room(std::uint64_t unit);
  bool has_room(std::uint64_t unit) const { return id_block_of(unit) < first_ + blocks_; }
  // To be made as soon as there is room for the last of those that are made together.
  void mark(std::uint64_t place, std::uint32_t id);
  // What is marked from one unit to before another, in order. Failures: io_error, corrupt.
  Task<Result<std::vector<Mark>>> marks(std::uint64_t begin, std::uint64_t end);

  Task<void> idle();
  // Blocks written.
  std::uint64_t written() const { return written_; }

 private:
  // Of the blocks in memory.
  ByteSpan block_of(std::uint64_t number);
  std::uint64_t first_in_memory() const;
  void turn_over();
  Task<void> write_oldest();
  Task<Status> write_blocks(block::Buffer& from, std::uint64_t first);
  void collect(ByteView block, std::uint64_t number, std::uint64_t begin, std::uint64_t end,
               std::vector<Mark>& out) const;

  Executor& executor_;
  block::BlockDevice& device_;
  const LeedGeometry& geometry_;
  const std::uint32_t blocks_;
  // Marks are made in the newest and the one before it: what is taken at once may begin in the one
  // and end in the other. The oldest is being written, or nothing.
  block::Buffer oldest_, before_, newest_;
  std::uint64_t start_ = 0;  // what this process began with
  std::uint64_t first_ = 0;  // block of the newest
  bool unwritten_ = false;   // the oldest is not on the SSD
  bool writing_ = false;
  Status failure_;  // of the last write
  std::uint64_t written_ = 0;
  WaitList done_;
};

}  // namespace scalio::leed
