// PaperEngine: the server's side of the paper's Scalio (OSDI '25) for one SSD. Writes come to it by
// messages; reads hardly ever, since clients read the cache and the SSD by themselves.
//
// A write waits for a batch, which is one write to the log. Then it is published in the cache,
// where it is dirty, and acknowledged; later it is merged: a read of its bucket, a write of its
// value. So a SET is 3 I/Os alone. In batches of n it is 2 + 1/n, or fewer, since a key that is
// written again before it is merged is merged once.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "baseline/leed/leed_message.h"
#include "baseline/paper/paper_cache.h"
#include "baseline/paper/paper_log.h"
#include "baseline/paper/paper_store.h"
#include "task/sync.h"
#include "task/wait_group.h"

namespace scalio::paper {

struct PaperOptions {
  std::uint32_t batch = 8;              // writes of a batch, 1 to leed::kMaxBatch
  Nanos patience = 200 * kMicrosecond;  // the first of a batch waits no longer for the others
  std::size_t window = 64;              // keys that stay dirty until others are
  std::size_t most_dirty = 1024;        // keys; beyond the window they are being merged
  std::size_t most_waiting = 65'536;    // writes that are not acknowledged

  static PaperOptions unbatched() {
    PaperOptions o;
    o.batch = 1;
    o.window = 0;
    return o;
  }
};

struct PaperCounters {
  std::uint64_t gets = 0;  // by message
  std::uint64_t sets = 0;
  std::uint64_t removes = 0;
  std::uint64_t batches = 0;
  std::uint64_t merges = 0;
  std::uint64_t flushes = 0;
  std::uint64_t dirty = 0;  // keys, now

  PaperCounters& operator+=(const PaperCounters& o);
};

// Belongs to its executor's thread. Many operations may be in flight. Each is linearizable with
// those of the clients, and durable when it ends with ok.
class PaperEngine {
 public:
  // A store that was formatted (paper_store.h), as it was when the last engine went, or was cut
  // off: what the log has is merged. The region, zeroed, is of shape.size() bytes. Device and
  // region must outlive the engine. Failures: invalid (no store, shape, options), corrupt,
  // io_error.
  static Task<Result<std::unique_ptr<PaperEngine>>> open(Executor& executor,
                                                         block::BlockDevice& device,
                                                         ByteSpan region, CacheShape shape,
                                                         PaperOptions options = {});
  // After stop().
  ~PaperEngine() = default;
  // Merges what is dirty, unless the device has failed. With no operation in flight, and no more.
  Task<void> stop();

  // Key and value must live until the operation has ended. Failures of all: invalid, too_large;
  // io_error and corrupt.

  // Nothing if the key has no value.
  Task<Result<std::optional<std::string>>> get(std::string_view key);
  // Failures: busy (too many wait); full; io_error: it may or may not have happened; read_only: of
  // any write after a write to the SSD has failed. Until a restart the cache has what it has not.
  Task<Status> set(std::string_view key, std::string_view value);
  // The same, but full. Ok also if the key has no value.
  Task<Status> remove(std::string_view key);

  PaperCounters counters() const;
  const PaperGeometry& geometry() const { return geometry_; }
  const CacheShape& shape() const { return cache_.shape(); }

 private:
  // A write that is not acknowledged.
  struct Waiting {
    leed::LeedOperation operation;
    std::coroutine_handle<> waiter = nullptr;
    Status status;
  };
  struct OpenBatch {
    leed::BatchWriter records;
    std::vector<Waiting*> writes;
  };
  // A key whose newest value is not on the SSD.
  struct Dirty {
    std::string key;
    std::optional<std::string> value;  // nothing: it was removed
    std::uint64_t hash = 0;
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;  // of the batch that has it
    std::uint64_t changes = 0;
    bool has_reserved = false;  // the store's room for one put
  };

  PaperEngine(Executor& executor, block::BlockDevice& device, const PaperGeometry& geometry,
              ByteSpan region, const CacheShape& shape, const PaperOptions& options);
  static Status check(const PaperOptions& options);
  Status check(std::string_view key, std::size_t value_size) const;
  Task<Status> recover();
  Task<Status> write(leed::LeedOperation operation);
  Task<bool> reserve();
  void enqueue(Waiting& w);
  void close_batch();
  Task<void> close_later(std::uint64_t number);
  Task<void> commit(std::unique_ptr<OpenBatch> batch);
  Task<Status> make_durable(OpenBatch& batch, PaperLog::Entry& entry);
  Task<Status> publish(const leed::LeedOperation& operation, std::uint64_t sequence);
  // Whether nothing is to stay dirty that need not.
  bool drains() const {
    return stopping_ || pressed_ > 0 || log_.half_full() || log_.oldest() < drain_until_;
  }
  void start_merges();
  Task<void> merge(Dirty& dirty);
  void start_checkpoint();
  Task<void> checkpoint();
  std::uint64_t oldest_needed() const;
  void fail(const Status& why);

  Executor& executor_;
  block::BlockDevice& device_;
  const PaperGeometry geometry_;
  const PaperOptions options_;
  leed::IoBufferPool pool_;
  PaperStore store_;
  PaperLog log_;
  PaperCache cache_;

  std::unique_ptr<OpenBatch> open_ = std::make_unique<OpenBatch>();
  std::uint64_t open_number_ = 0;  // of the batch that is open
  std::size_t waiting_ = 0;
  std::uint64_t published_ = 0;  // the batch whose turn it is to be published
  std::unordered_map<std::string_view, std::unique_ptr<Dirty>> dirty_;  // by their own keys
  std::deque<Dirty*> queue_;  // those that are not being merged, oldest first
  std::size_t pressed_ = 0;   // who waits for a dirty slot
  bool stopping_ = false;
  bool checkpointing_ = false;
  std::uint64_t drain_until_ = 0;  // batches before this are to be merged, for want of room
  Status failed_;                  // why nothing is written any more
  WaitList progress_;              // anything above has changed
  WaitGroup background_;
  PaperCounters counters_;
};

}  // namespace scalio::paper
