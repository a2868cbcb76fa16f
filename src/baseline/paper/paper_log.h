// PaperLog: the circular log of one SSD: a batch of writes is durable by one write to it, and is
// kept until the buckets and values that it changed are durable themselves.
//
// Batches are numbered. Several are written at once; one counts when those before it do, since a
// restart goes through them in order and ends where one is missing. Each says which is the oldest
// that is needed, so that what is left from before that is not replayed.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "baseline/leed/io_buffer.h"
#include "baseline/paper/paper_format.h"
#include "block/block_device.h"

namespace scalio::paper {

// Belongs to its executor's thread.
class PaperLog {
 public:
  PaperLog(block::BlockDevice& device, const PaperGeometry& geometry, leed::IoBufferPool& pool)
      : device_(device), geometry_(geometry), pool_(pool) {}

  // The records of all batches that are needed, in order; new ones are numbered after everything
  // that is there. They are needed until the first new one is written. Failures: io_error.
  Task<Result<std::vector<Bytes>>> recover();

  // Room for a batch of so many blocks; false if there is none now.
  bool has_room(std::uint32_t blocks) const;
  struct Entry {
    std::uint64_t sequence = 0;
    std::uint64_t block = 0;  // of the log
    std::uint32_t blocks = 0;
  };
  Entry reserve(std::uint32_t blocks);
  // Ok: durable. Failures: io_error.
  Task<Status> write(Entry entry, ByteView records);

  // The oldest that is needed, and the one that is numbered next.
  std::uint64_t oldest() const { return live_.empty() ? next_ : live_.front().sequence; }
  std::uint64_t next() const { return next_; }
  // Batches before this one are not needed any more.
  void release(std::uint64_t before);
  bool half_full() const { return used() * 2 > geometry_.log_blocks; }

 private:
  struct Live {
    std::uint64_t sequence;
    std::uint64_t position;
  };
  std::uint64_t used() const { return live_.empty() ? 0 : head_ - live_.front().position; }
  // Where one of so many blocks begins: a batch does not go round the end.
  std::uint64_t next_position(std::uint32_t blocks) const;

  block::BlockDevice& device_;
  const PaperGeometry& geometry_;
  leed::IoBufferPool& pool_;
  // Blocks from the log's beginning, for ever.
  std::uint64_t head_ = 0;
  std::uint64_t next_ = 1;
  std::deque<Live> live_;
};

}  // namespace scalio::paper
