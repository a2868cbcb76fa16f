// LeedEngine: LEED's key-value store on one SSD (SIGCOMM '23), the baseline that Scalio is measured
// against. What differs from the original is in docs/evaluation.md.
//
// A GET costs two I/Os (bucket, value), a SET three (bucket read beside the value's write, then
// the bucket's write), a removal two. For each bucket id 5 bytes are in memory. Both logs are
// compacted beside that.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "baseline/leed/leed_recovery.h"
#include "baseline/leed/token_gate.h"
#include "baseline/leed/value_log.h"

namespace scalio::leed {

struct LeedOptions {
  CompactionLimits bucket_compaction = {512, 4, 12'288};
  CompactionLimits value_compaction = {256, 4, 8'192};
  std::uint32_t id_blocks = 128;  // of the bucket-id log, written at a time
  std::uint32_t tokens = kTokens;
  std::size_t most_waiting = 65'536;  // operations for tokens
  // Whether who waits for a bucket is handed also what was just written to it. The original hands
  // on only what was read.
  bool hand_on_written = true;

  // These, or less for logs that are too small for them.
  static LeedOptions for_store(const LeedGeometry& geometry);
};

struct LeedCounters {
  std::uint64_t gets = 0;
  std::uint64_t sets = 0;
  std::uint64_t removes = 0;
  std::uint64_t moved = 0;          // reads that were repeated: what they read had moved
  std::uint64_t handed_on = 0;      // reads that were saved: the one before had read the bucket
  std::uint64_t bucket_chunks = 0;  // compacted
  std::uint64_t value_chunks = 0;
  std::uint64_t waiting = 0;  // for tokens, now

  LeedCounters& operator+=(const LeedCounters& o);
};

// Belongs to its executor's thread. Many operations may be in flight; those of one key take effect
// one after the other. Each is linearizable, and durable when it ends with ok.
class LeedEngine {
 public:
  // A store that was formatted (leed_recovery.h), as it was when the last engine went, or when it
  // was cut off. The device must outlive the engine. Failures: invalid (no store, or too small for
  // the options), corrupt, io_error.
  static Task<Result<std::unique_ptr<LeedEngine>>> open(Executor& executor,
                                                        block::BlockDevice& device,
                                                        std::optional<LeedOptions> options = {});
  // Likewise, of a store whose logs are known: it is not read.
  static Task<Result<std::unique_ptr<LeedEngine>>> resume(Executor& executor,
                                                          block::BlockDevice& device,
                                                          LeedGeometry geometry, Recovered found,
                                                          std::optional<LeedOptions> options = {});
  // After stop(), and with no operation in flight.
  ~LeedEngine() = default;
  Task<void> stop();

  // Key and value must live until the operation has ended. Keys have 1 to 20 bytes, values at most
  // 64 KiB. Failures of all: invalid or too_large; busy (too many wait); io_error and corrupt, of
  // what is not there as it should be.

  // Nothing if the key has no value.
  Task<Result<std::optional<std::string>>> get(std::string_view key);
  // Failures: full; io_error: it may or may not have happened; read_only: of any write after the
  // write of a bucket has failed.
  Task<Status> set(std::string_view key, std::string_view value);
  // Failures as set, and not_found.
  Task<Status> remove(std::string_view key);

  // Tokens that are left, for replies to clients.
  std::uint32_t tokens_left() const { return gate_.left(); }
  LeedCounters counters() const;
  const LeedGeometry& geometry() const { return geometry_; }

 private:
  // A change of a bucket: a record put there, or removed.
  struct Update {
    std::string_view key;
    std::uint32_t id;
    SpaceFor what;
    BucketItem item = {};        // of a set
    block::Io* value = nullptr;  // the write of its value, in flight
    std::uint32_t dead = 0;      // length of the value that was there
    bool had_value = false;
  };

  LeedEngine(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
             const LeedOptions& options);
  static Status check(const LeedGeometry& geometry, const LeedOptions& options);
  static Status check(std::string_view key, std::size_t value_size);
  static Status too_many_wait();
  Task<Result<std::optional<std::string>>> find(std::string_view key);
  Task<Status> put(std::string_view key, std::string_view value);
  Task<Status> erase(std::string_view key);
  Task<Status> update(BucketLog::Reservation& reservation, Update update);
  Status apply(Update& update, Segment& segment);

  const LeedGeometry geometry_;
  const bool hand_on_written_;
  TokenGate gate_;
  IoBufferPool pool_;
  SegmentLocks locks_;
  BucketLog buckets_;
  ValueLog values_;
  LeedCounters counters_;
};

}  // namespace scalio::leed
