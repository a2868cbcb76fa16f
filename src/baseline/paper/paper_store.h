// PaperStore: the buckets and values of one SSD, changed in place by the server alone; and how
// anybody reads a record there.
//
// A change costs a read of the bucket and a write of the value, and one of the bucket if the key is
// new or removed. It is durable after a flush; until then the log has it.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baseline/leed/io_buffer.h"
#include "baseline/leed/segment_locks.h"
#include "baseline/paper/paper_format.h"
#include "block/block_device.h"

namespace scalio::paper {

struct FoundRecord {
  std::optional<std::string> value;
  // The value was another key's, or not whole: the server has changed it between the two reads, or
  // it is damaged. To be read again, from the cache on.
  bool moved = false;
};
// Two reads, or more in a bucket that has overflowed. Failures: io_error, corrupt.
Task<Result<FoundRecord>> read_record(block::BlockDevice& device, const PaperGeometry& geometry,
                                      leed::IoBufferPool& pool, std::string_view key);

// Writes an empty store. What was on the SSD is lost. Failures: invalid, io_error.
Task<Status> format(block::BlockDevice& device, PaperGeometry geometry);
// Of a device that was formatted. Failures: invalid, corrupt, io_error.
Task<Result<PaperGeometry>> read_geometry(block::BlockDevice& device);

// Belongs to its executor's thread. Changes may be in flight together, those of one key may not.
class PaperStore {
 public:
  PaperStore(Executor& executor, block::BlockDevice& device, const PaperGeometry& geometry,
             leed::IoBufferPool& pool)
      : device_(device), geometry_(geometry), pool_(pool), locks_(executor) {}

  // Reads all buckets, to know which places are free. Failures: io_error, corrupt.
  Task<Status> open();

  // Room for one put() of a new key; false if there is none. It is held until release().
  bool reserve();
  void release() { --reserved_; }

  // The key's value is durable, or gone, after a flush that begins when this has ended. Failures:
  // io_error, corrupt; full, if nothing was reserved.
  Task<Status> put(std::string_view key, std::string_view value);
  Task<Status> remove(std::string_view key);

  // Places of removed values. They are used again when it is durable that nothing points to them:
  // after a flush that begins when they have been taken.
  std::vector<std::uint64_t> take_removed() { return std::exchange(removed_, {}); }
  void reuse(const std::vector<std::uint64_t>& places) {
    free_.insert(free_.end(), places.begin(), places.end());
  }

 private:
  // A key's chain of buckets as far as it was read.
  struct Chain {
    leed::IoBuffer bucket;                    // that has the key, or else the last one
    std::uint32_t number = 0;                 // its
    std::uint32_t item = leed::kBucketItems;  // of the key
    std::optional<std::uint32_t> with_room;   // the first that has a free item
  };
  Task<Result<Chain>> find(std::string_view key);
  Task<Status> put_locked(std::string_view key, std::string_view value);
  Task<Status> remove_locked(std::string_view key);
  Task<Status> insert(Chain& chain, std::string_view key, std::uint64_t place);
  Task<Status> read_bucket(std::uint32_t number, ByteSpan into);
  Task<Status> write_bucket(std::uint32_t number, ByteSpan bucket);
  std::uint64_t free_values() const { return free_.size() + (geometry_.values - fresh_); }

  block::BlockDevice& device_;
  const PaperGeometry& geometry_;
  leed::IoBufferPool& pool_;
  leed::SegmentLocks locks_;         // by home bucket
  std::uint32_t overflow_used_ = 0;  // they are linked one after the other, and never unlinked
  std::uint64_t fresh_ = 0;          // places from here on were never used
  std::vector<std::uint64_t> free_;  // and these before it
  std::vector<std::uint64_t> removed_;
  std::uint64_t reserved_ = 0;
};

}  // namespace scalio::paper
