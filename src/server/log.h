// Log: the shard's write-ahead log, written in batches (group commit).
//
// One batch is in flight at a time; records that arrive meanwhile gather in the next. So a hole in
// the log can only be damage, never a write order, and recovery may stop at the first batch that is
// missing.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "base/ring.h"
#include "base/wall_time.h"
#include "block/block_device.h"
#include "block/buffer.h"
#include "layout/log.h"
#include "layout/rules.h"
#include "server/store_clock.h"
#include "store/log_position.h"
#include "store/log_scan.h"
#include "task/sync.h"

namespace scalio::server {

struct LogOptions {
  std::uint32_t batch_max = 256;  // records; 1 is "without batched write"
  Nanos batch_linger = 0;         // how long a batch waits for more records
  layout::LogKey key;             // of the shard
  // Wall time in ns since 1970, of which the log makes store time.
  std::function<std::uint64_t()> wall_clock = wall_time;
};

struct LogCounters {
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t image_bytes = 0;
};

class Log {
 public:
  Log(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
      LogOptions options);

  // Goes on where recovery found that the log ends.
  void resume(storage::LogPosition position);
  // Writes batches until stop(); to be spawned once, after resume().
  Task<void> run();
  // Ends run() when all that was added is durable.
  void stop();

  struct Ticket {
    std::uint64_t lsn = 0;
    std::uint64_t version = 0;
    std::uint64_t batch = 0;
  };
  // Waits until a record of these sizes, an end counted in the body's, fits the open batch, or
  // failure() is set, in the order of the calls. The add must follow without suspending, or not at
  // all.
  Task<void> room(std::uint32_t key, std::uint32_t body);
  // Whether room() would not wait now, and failure() is ok after it.
  bool has_room(std::uint32_t key, std::uint32_t body) const {
    return in_line_.empty() && called_ == 0 && failure_.ok() && version_ < layout::kMaxVersion &&
           fits(layout::BatchBuilder::record_size(key, body));
  }
  // Adds a record that fits. A write of `version` 0 gets the next one.
  Ticket add(layout::LogKind kind, std::uint64_t version, std::string_view key, ByteView body,
             std::uint64_t end = 0);
  // The next version, for a write that is added later, if there is one.
  std::optional<std::uint64_t> take_version() {
    return version_ < layout::kMaxVersion ? std::optional(++version_) : std::nullopt;
  }
  // The batch that is durable when all is that was added.
  std::uint64_t last_batch() const { return open_number_ - (builder_.records() == 0 ? 1 : 0); }
  // Awaiting it waits until the ticket's batch is durable. On failure (read_only or io_error) it
  // may or may not be.
  auto durable(std::uint64_t batch) {
    // Batches end one after the other, and one wakes those that wait for it or for a failure.
    struct Awaiter {
      Log& log;
      const std::uint64_t batch;
      decltype(std::declval<WaitList&>().wait()) wait;
      bool await_ready() const noexcept {
        return log.durable_number_ >= batch || !log.failure_.ok();
      }
      void await_suspend(std::coroutine_handle<> h) { wait.await_suspend(h); }
      Status await_resume() const {
        SCALIO_ASSERT(await_ready());
        return log.durable_number_ >= batch ? Status() : log.failure_;
      }
    };
    return Awaiter{*this, batch, durable_[batch & 1].wait()};
  }

  // Declares that everything before `lsn` is durable in its bucket, and waits until that
  // declaration is durable itself: only then is the space reused. `lsn` is rounded down to the
  // start of a batch, by at most a small part of the log more than to its own.
  Task<Status> advance_tail(std::uint64_t lsn);

  // Bytes that can still be added before the ring is full. At most one batch of it may be lost to
  // the ring's end.
  std::uint64_t free() const;
  std::uint64_t used() const { return head() - durable_tail_ - skips_.size() * geometry_.log_size; }
  std::uint64_t head() const {
    return builder_.lsn() + round_up(builder_.used(), geometry_.block_size);
  }
  // The LSN below which every record was added already.
  std::uint64_t open_lsn() const { return builder_.lsn() + builder_.used(); }
  std::uint64_t version() const { return version_; }
  // What the buckets hold when the images that were added are in place. Who adds an image counts
  // it, without suspending in between.
  const layout::BucketTotals& buckets() const { return buckets_; }
  void count(const layout::BucketTotals& change) { buckets_ += change; }
  // Store time, ns (rule 17). A batch says up to when it may be told and acted on; from there a
  // restart goes on, whatever the machine's clock does.
  //
  // For what is durable itself before anybody learns of it.
  std::uint64_t unmarked_time() { return clock_.now(); }
  // What has passed for sure: never more than may be told.
  std::uint64_t passed_time() { return std::min(clock_.now(), time_mark_); }
  // ns that it is ahead of the machine's wall clock, or behind if negative.
  std::int64_t time_ahead() { return clock_.ahead(); }
  // It may be told now, or not before a batch.
  std::optional<std::uint64_t> time_to_tell() {
    const std::uint64_t time = clock_.now();
    return time <= time_mark_ || !kept(Rule::time_mark) ? std::optional(time) : std::nullopt;
  }
  // Has a batch say the time, an empty one if need be, for which there must be room, and waits
  // until it is durable. Failures: unavailable (it is being stopped), and those of the log.
  Task<Status> say_time();
  bool stopping() const { return stopping_; }
  const layout::LogKey& key() const { return options_.key; }
  const Status& failure() const { return failure_; }
  const LogCounters& counters() const { return counters_; }

  // Reads back the record at `lsn`, which must be durable and not before the tail, into `storage`,
  // which has record_storage() bytes.
  static std::uint32_t record_storage(const layout::SsdGeometry& geometry) {
    return storage::record_storage(geometry, largest_record(geometry));
  }
  Task<Result<layout::LogRecordView>> read_record(std::uint64_t lsn, block::Buffer& storage);

 private:
  // Of a value.
  static std::uint32_t largest_record(const layout::SsdGeometry& geometry) {
    return layout::BatchBuilder::record_size(0, geometry.inline_limit);
  }
  void open_batch(std::uint64_t after);
  bool fits(std::uint32_t size) const {
    return builder_.records() + called_ < options_.batch_max &&
           builder_.fits(static_cast<std::uint32_t>(called_bytes_ + size));
  }
  void call_in_line();

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  const LogOptions options_;

  block::Buffer buffers_[2];
  std::uint32_t current_ = 0;  // the buffer of the open batch
  layout::BatchBuilder builder_;
  std::uint64_t open_number_ = 1;     // of the open batch
  std::uint64_t durable_number_ = 0;  // of the last durable one
  std::uint64_t version_ = 0;
  layout::BucketTotals buckets_;
  StoreClock clock_;
  std::uint64_t time_mark_ = 0;      // as a durable batch has said it
  std::uint64_t tail_ = 0;           // as the next batch declares it
  std::uint64_t durable_tail_ = 0;   // as a durable batch has declared it
  bool batch_wanted_ = false;        // somebody waits for the next batch, even if empty
  storage::BatchStarts starts_;      // from the tail on
  std::deque<std::uint64_t> skips_;  // after the durable tail
  bool stopping_ = false;
  Status failure_;
  WaitList work_;
  // Records that wait for room, in line. A new batch calls those that it has room for, and not all
  // the others with them.
  Ring<std::uint32_t> in_line_;  // their sizes
  WaitList line_;
  std::uint32_t called_ = 0;  // and not yet back
  std::uint64_t called_bytes_ = 0;
  WaitList durable_[2];  // by the parity of the batch number
  LogCounters counters_;
};

}  // namespace scalio::server
