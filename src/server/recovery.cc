#include "server/recovery.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"

namespace scalio::server {

using layout::BatchHeader;
using layout::LogKind;
using layout::LogRecordView;

namespace {
// Bound on the memory for the newest record of each key: the log is replayed in so many passes,
// each for a part of the keys, that one pass stays below.
constexpr std::uint64_t kReplayMemory = 16 << 20;
constexpr std::uint64_t kBytesPerKey = 160;
constexpr std::size_t kParallel = 32;

// Runs up to kParallel tasks beside each other. The first failure is kept.
class Parallel {
 public:
  explicit Parallel(Executor& executor)
      : executor_(executor), permits_(executor, kParallel), ended_(executor) {}
  Task<void> start(Task<Status> task) {
    co_await permits_.acquire();
    ++running_;
    executor_.spawn(run(std::move(task)));
  }
  Task<Status> join() {
    while (running_ > 0) co_await ended_.wait();
    co_return status_;
  }

 private:
  Task<void> run(Task<Status> task) {
    Status s = co_await std::move(task);
    if (status_.ok()) status_ = std::move(s);
    --running_;
    permits_.release();
    ended_.wake_all();
  }
  Executor& executor_;
  Semaphore permits_;
  WaitList ended_;
  std::size_t running_ = 0;
  Status status_;
};

struct Newest {
  std::uint64_t lsn;
  std::uint64_t version;
};

struct Replay {
  Executor& executor;
  block::BlockDevice& device;
  const layout::SsdGeometry& geometry;
  BlockTable& table;
  Log& log;
  BucketStore& buckets;
  SlotQueue& queue;
  Merger& merger;
  RecoveryReport report;
};

// Which record of the log has the newest image of each bucket, sorted by bucket.
struct NewestImage {
  std::uint64_t bucket;
  std::uint64_t lsn;
  auto operator<=>(const NewestImage&) const = default;
};

// What this release cannot take up, and must not leave out.
std::string not_served(const LogRecordView& record) {
  if (record.kind == LogKind::image) return "";
  if (record.kind == LogKind::segments) return "counts bytes of the value log";
  const layout::RecordView r = record.record();
  return r.plain() ? "" : std::string(why_not_plain(r));
}

Task<Result<std::vector<NewestImage>>> find_images(Replay& r, const storage::LogScan& scan,
                                                   block::Buffer& buffer) {
  std::vector<NewestImage> newest;
  for (std::size_t n = 0; n < scan.live.size(); ++n) {
    const BatchHeader& batch = scan.live[n];
    Status served;
    const std::function<void(const LogRecordView&)> collect = [&](const LogRecordView& record) {
      if (const std::string why = not_served(record); !why.empty() && served.ok()) {
        served = Status(Code::invalid,
                        fmt::format("the log record at LSN {} of {} {}, which this release does "
                                    "not serve: use the one that wrote it",
                                    record.lsn, r.device.name(), why));
      }
      if (record.kind != LogKind::image) return;
      const auto image = *layout::decode_image(record.body, r.geometry.bucket_size);
      for (const layout::ImageBucket& bucket : image) newest.push_back({bucket.number, record.lsn});
    };
    const Result<std::uint32_t> damaged =
        co_await storage::read_batch(r.device, r.geometry, r.log.key(), batch, buffer, collect);
    if (!damaged.ok()) co_return damaged.status();
    if (!served.ok()) co_return served;
    if (*damaged == 0) continue;
    const std::string where =
        fmt::format("log of {}: {} records of the batch at LSN {} (offset {})", r.device.name(),
                    *damaged, batch.lsn, r.geometry.log_offset + batch.lsn % r.geometry.log_size);
    if (scan.may_be_torn(n)) {
      spdlog::info("{} are incomplete: a crash interrupted it before it was acknowledged", where);
    } else {
      r.report.damage.add(where + " are damaged");
    }
  }
  std::sort(newest.begin(), newest.end());
  const auto last_of_bucket = [&](std::size_t i) {
    return i + 1 == newest.size() || newest[i + 1].bucket != newest[i].bucket;
  };
  std::size_t kept = 0;
  for (std::size_t i = 0; i < newest.size(); ++i) {
    if (last_of_bucket(i)) newest[kept++] = newest[i];
  }
  newest.resize(kept);
  co_return newest;
}

// Writes back the newest image of each bucket. Older ones are left alone: clients of the server
// before may still be reading.
Task<Status> restore_images(Replay& r, const storage::LogScan& scan) {
  block::Buffer buffer(layout::max_batch(r.geometry));
  Result<std::vector<NewestImage>> newest = co_await find_images(r, scan, buffer);
  if (!newest.ok()) co_return newest.status();
  for (const BatchHeader& batch : scan.live) {
    std::vector<layout::ImageBucket> buckets;
    const std::function<void(const LogRecordView&)> collect = [&](const LogRecordView& record) {
      if (record.kind != LogKind::image) return;
      const auto image = *layout::decode_image(record.body, r.geometry.bucket_size);
      for (const layout::ImageBucket& bucket : image) {
        const NewestImage here{bucket.number, record.lsn};
        if (std::binary_search(newest->begin(), newest->end(), here)) buckets.push_back(bucket);
      }
    };
    const Result<std::uint32_t> damaged =
        co_await storage::read_batch(r.device, r.geometry, r.log.key(), batch, buffer, collect);
    if (!damaged.ok()) co_return damaged.status();
    Parallel parallel(r.executor);
    for (const layout::ImageBucket& bucket : buckets)
      co_await parallel.start(r.buckets.restore(bucket));
    Status s = co_await parallel.join();
    if (!s.ok()) co_return s;
    r.report.images += buckets.size();
  }
  co_return co_await r.device.flush();
}

// Puts the newest logged write of a key into a write slot, unless its bucket has it.
Task<Status> replay_key(Replay& r, std::string key, Newest newest) {
  const std::uint64_t point = r.geometry.point_of(key);
  Result<BucketStore::Found> stored = co_await r.buckets.find(key, point);
  // In a damaged bucket nothing is known to be there: the write waits in its slot.
  if (!stored.ok() && stored.code() != Code::corrupt) co_return stored.status();
  if (stored.ok() && (stored->version >= newest.version || newest.lsn < stored->applied))
    co_return Status();

  block::Buffer buffer(Log::record_storage(r.geometry));
  Result<LogRecordView> record = co_await r.log.read_record(newest.lsn, buffer);
  if (!record.ok()) co_return record.status();
  const std::uint64_t block = r.table.geometry().block_of(point);
  std::optional<std::uint32_t> slot;
  while (!(slot = r.table.reusable(block))) {
    Status s = r.merger.relieve(block);
    if (!s.ok()) {
      co_return Status(
          s.code(), s.message() +
                        "; the log has more such writes than the cache has write slots for: start "
                        "with the --cache and --write-slots of before");
    }
    co_await r.queue.wait(block);
  }
  r.table.reserve(block, *slot, point);
  r.table.publish(block, *slot, record->record(), newest.lsn);
  r.table.slot(block, *slot).reserved = false;
  r.queue.wake(block);
  ++r.report.records_applied;
  co_return Status();
}

Task<Status> replay_records(Replay& r, const storage::LogScan& scan) {
  std::uint64_t records = 0;
  for (const BatchHeader& batch : scan.live) records += batch.records;
  const std::uint64_t passes = records * kBytesPerKey / kReplayMemory + 1;
  block::Buffer buffer(layout::max_batch(r.geometry));
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    std::unordered_map<std::string, Newest> newest;
    const std::function<void(const LogRecordView&)> collect = [&](const LogRecordView& record) {
      if (!layout::is_write(record.kind)) return;
      if (mix(hash_key(record.key, r.geometry.hash_seed)) % passes != pass) return;
      Newest& n = newest[std::string(record.key)];
      // A write that could not be merged is in the log several times, with one version: the last
      // counts.
      if (record.version >= n.version) n = {record.lsn, record.version};
    };
    for (const BatchHeader& batch : scan.live) {
      const Result<std::uint32_t> damaged =
          co_await storage::read_batch(r.device, r.geometry, r.log.key(), batch, buffer, collect);
      if (!damaged.ok()) co_return damaged.status();
    }
    Parallel parallel(r.executor);
    for (const auto& [key, n] : newest) co_await parallel.start(replay_key(r, key, n));
    Status s = co_await parallel.join();
    if (!s.ok()) co_return s;
  }
  co_return Status();
}

}  // namespace

Task<Result<RecoveryReport>> recover(Executor& executor, block::BlockDevice& device,
                                     const layout::SsdGeometry& geometry, BlockTable& table,
                                     Log& log, BucketStore& buckets, SlotQueue& queue,
                                     Merger& merger) {
  const Nanos began = executor.now();
  Result<storage::LogScan> scan = co_await storage::scan_log(device, geometry, log.key());
  if (!scan.ok()) co_return scan.status();
  std::uint64_t records = 0;
  for (const BatchHeader& batch : scan->live) records += batch.records;
  spdlog::info("{}: going through {} records (writes and bucket images) in {} log batches",
               device.name(), records, scan->live.size());
  Replay r{executor, device, geometry, table, log, buckets, queue, merger, {}};
  r.report.batches = scan->live.size();
  r.report.damage = scan->damage;
  Status s = co_await restore_images(r, *scan);
  if (!s.ok()) co_return s;

  log.resume(scan->position);
  executor.spawn(log.run());
  merger.set_replaying(true);
  s = co_await replay_records(r, *scan);
  merger.set_replaying(false);
  if (!s.ok()) {
    co_await merger.drain();
    log.stop();
    co_return s;
  }
  for (const std::string& d : r.report.damage.named())
    spdlog::error("{}: acknowledged writes may be missing", d);
  if (const std::uint64_t more = r.report.damage.more(); more > 0) {
    spdlog::error("log of {}: {} more of these", device.name(), more);
  }
  r.report.seconds = static_cast<double>(executor.now() - began) / kSecond;
  co_return r.report;
}

}  // namespace scalio::server
