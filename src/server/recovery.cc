#include "server/recovery.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "server/parallel.h"
#include "server/recovery_memory.h"
#include "server/recovery_table.h"
#include "store/log_scan.h"

namespace scalio::server {

using layout::Bucket;
using layout::BucketState;
using layout::LogKind;
using layout::LogRecordView;

namespace {
constexpr Nanos kLogProgressEvery = 5 * kSecond;

using Records = std::span<NewestRecord>;

class ShardRecovery final : public storage::LogVisitor {
 public:
  ShardRecovery(const RecoveryParts& parts, RecoveryOptions options)
      : p_(parts),
        g_(parts.geometry),
        options_(std::move(options)),
        plan_(g_, options_.memory),
        began_(p_.executor.now()),
        told_(began_) {}

  Task<Result<RecoveryReport>> run() {
    Result<std::unique_ptr<RecoveryTable>> table =
        RecoveryTable::create(g_, p_.log.key(), plan_.table);
    if (!table.ok()) co_return table.status();
    table_ = *std::move(table);
    if (p_.segments.any()) {
      const Result<layout::SegmentTable> segments = co_await p_.values.load_table();
      if (!segments.ok()) co_return segments.status();
      counted_ = segments->lsn;
    }
    Result<storage::LogScan> scan =
        co_await storage::scan_log(p_.device, g_, p_.log.key(), plan_.reads, *this);
    if (!scan.ok()) co_return scan.status();
    for (const std::string& what : scan->interrupted.named()) spdlog::info("{}", what);
    spdlog::info("{}: going through {} records (writes and bucket images) in {} log batches",
                 p_.device.name(), scan->records, scan->batches);
    report_.batches = scan->batches;
    report_.records = scan->records;
    report_.damage = scan->damage;
    Status s = co_await all_passes(*scan);
    if (!s.ok()) co_return s;
    tell_of_damage();
    report_.seconds = static_cast<double>(p_.executor.now() - began_) / kSecond;
    co_return report_;
  }

  void on_begin() override {
    table_->clear();
    counts_.clear();
  }
  void on_record(const LogRecordView& record) override {
    if (record.kind == LogKind::segments) {
      // Of a later pass over the log they would be old.
      if (goes_on_ || record.lsn < counted_) return;
      const auto counts = *layout::decode_segment_counts(record.body, g_);
      for (const layout::SegmentCount& c : counts) counts_[c.number] = c;
    } else {
      table_->offer(record);
    }
  }
  void on_progress(double part) override { progress(part / 2); }

 private:
  Task<Status> all_passes(const storage::LogScan& scan) {
    Status s = co_await pass(&scan.position);
    while (s.ok() && table_->more()) {
      covered_ = table_->covered();
      table_->begin_next_pass();
      s = co_await storage::read_log(p_.device, g_, p_.log.key(), scan, plan_.reads, *this);
      if (s.ok()) s = co_await pass(nullptr);
    }
    p_.merger.set_replaying(false);
    if (!s.ok() && goes_on_) {
      co_await p_.merger.drain();
      p_.log.stop();
    }
    co_return s;
  }

  // The first one lets the log go on, from `position`.
  Task<Status> pass(const storage::LogPosition* position) {
    ++report_.passes;
    const RecoveryTable::Sorted found = table_->sort();
    work_ = found.images.size() + found.keys.size();
    worked_ = 0;
    in_place_ = false;
    Status s = co_await check_images(found);
    // The newest batch may be in the device's cache alone: its server was killed, or was told that
    // the write failed. Without this a power cut could tear a bucket and take its image, too.
    if (s.ok()) s = co_await p_.device.flush();
    if (s.ok()) s = co_await restore_images(found.images);
    if (!s.ok()) co_return s;
    in_place_ = true;
    if (position != nullptr) {
      for (const auto& [number, count] : counts_) p_.segments.restore(count);
      if (!report_.damage.named().empty()) p_.segments.distrust_free();
      if (s = co_await p_.values.read_headers(); !s.ok()) co_return s;
      p_.segments.restored();
      if (s = co_await p_.values.reopen(); !s.ok()) co_return s;
      p_.log.resume(*position);
      p_.executor.spawn(p_.log.run());
      p_.merger.set_replaying(true);
      goes_on_ = true;
    }
    co_return co_await replay(found.keys);
  }

  // Whether the bucket of each image is as the image has it. If so, its keys are looked for there.
  Task<Status> check_images(const RecoveryTable::Sorted& found) {
    Parallel parallel(p_.executor, plan_.parallel);
    auto key = found.keys.begin();
    for (NewestRecord& image : found.images) {
      while (key != found.keys.end() && table_->bucket_of(*key) < image.place) ++key;
      const auto first = key;
      while (key != found.keys.end() && table_->bucket_of(*key) == image.place) ++key;
      co_await parallel.start(check_image(image, {first, key}));
      if (!parallel.status().ok()) break;
      work_done(1);
    }
    co_return co_await parallel.join();
  }

  Task<Status> check_image(NewestRecord& image, Records keys) {
    block::Buffer page(g_.bucket_size);
    const Bucket bucket(page.span());
    Result<BucketState> state = co_await read_bucket(image.place, page);
    if (!state.ok()) co_return state.status();
    // Nothing was written there after the newest image but what that has.
    if (*state != BucketState::ok || load<std::uint64_t>(page.data()) != image.check)
      co_return Status();
    image.done = 1;
    table_->look(bucket, keys);
    // What is not there may be in a neighbour, whose image may not be in place.
    if (bucket.reach() > 0) co_return Status();
    pass_over_applied(bucket, keys);
    for (NewestRecord& key : keys) {
      if (key.done || !p_.table.reusable(block_of(key))) continue;
      Status s = co_await take_up(key);
      if (!s.ok()) co_return s;
    }
    co_return Status();
  }

  // Puts those images in place that are not. Each bucket is written once, as its newest image has
  // it, so it does not matter in which order: nothing that a client reads meanwhile counts (rule
  // 9). They stay in the log until a checkpoint has flushed.
  Task<Status> restore_images(Records images) {
    const auto done = std::partition(images.begin(), images.end(),
                                     [](const NewestRecord& r) { return r.done == 0; });
    std::sort(images.begin(), done,
              [](const NewestRecord& a, const NewestRecord& b) { return a.lsn < b.lsn; });
    Parallel parallel(p_.executor, plan_.parallel);
    for (auto image = images.begin(); image != done && parallel.status().ok();) {
      const auto first = image;
      while (image != done && image->lsn == first->lsn) ++image;
      co_await parallel.start(restore_image({first, image}));
    }
    co_return co_await parallel.join();
  }

  // Buckets that have their newest image in one log record.
  Task<Status> restore_image(Records images) {
    const std::uint32_t most = largest_image(g_);
    block::Buffer buffer(storage::record_storage(g_, most));
    const Result<LogRecordView> record = co_await storage::read_record(
        p_.device, g_, p_.log.key(), images.front().lsn, most, buffer);
    if (!record.ok()) co_return record.status();
    SCALIO_ASSERT(record->kind == LogKind::image);
    const auto logged = *layout::decode_image(record->body, g_.bucket_size);
    for (const layout::ImageBucket& bucket : logged) {
      if (std::none_of(images.begin(), images.end(),
                       [&](const NewestRecord& r) { return r.place == bucket.number; })) {
        continue;
      }
      Status s = co_await p_.buckets.restore(bucket);
      if (!s.ok()) co_return s;
      ++report_.images;
    }
    co_return Status();
  }

  Task<Status> replay(Records keys) {
    Parallel parallel(p_.executor, plan_.parallel);
    for (auto key = keys.begin(); key != keys.end() && parallel.status().ok();) {
      const auto first = key;
      bool done = true;
      for (; key != keys.end() && table_->bucket_of(*key) == table_->bucket_of(*first); ++key)
        done &= key->done != 0;
      if (!done) co_await parallel.start(replay_bucket({first, key}));
      work_done(static_cast<std::uint64_t>(key - first));
    }
    co_return co_await parallel.join();
  }

  // Puts the newest logged writes of keys of one home into write slots, unless the buckets have
  // them.
  Task<Status> replay_bucket(Records keys) {
    const std::uint64_t home = table_->bucket_of(keys.front());
    // While the home is locked, its records stay where they are.
    co_await p_.buckets.lock(home);
    Status s = co_await find_in_buckets(home, keys);
    p_.buckets.unlock(home);
    for (NewestRecord& key : keys) {
      if (!s.ok()) break;
      if (!key.done) s = co_await take_up(key);
    }
    co_return s;
  }

  // In a damaged bucket nothing is known to be there: the write waits in its slot.
  Task<Status> find_in_buckets(std::uint64_t home, Records keys) {
    block::Buffer home_page(g_.bucket_size), page(g_.bucket_size);
    Result<BucketState> state = co_await read_locked(home, home_page);
    if (!state.ok() || *state == BucketState::corrupt) co_return state.status();
    const Bucket bucket(home_page.span());
    table_->look(bucket, keys);
    for (std::uint32_t i = 1; i <= bucket.reach(); ++i) {
      state = co_await read_bucket(home + i, page);
      if (!state.ok() || *state == BucketState::corrupt) co_return state.status();
      table_->look(Bucket(page.span()), keys);
    }
    pass_over_applied(bucket, keys);
    co_return Status();
  }

  Task<Result<BucketState>> read_bucket(std::uint64_t bucket, block::Buffer& page) {
    co_await p_.buckets.lock(bucket);
    Result<BucketState> state = co_await read_locked(bucket, page);
    p_.buckets.unlock(bucket);
    co_return state;
  }
  // One that was never written is empty.
  Task<Result<BucketState>> read_locked(std::uint64_t number, block::Buffer& page) {
    ++report_.buckets_read;
    Status s = co_await p_.device.read(g_.bucket_at(number), page.span());
    if (!s.ok()) co_return s;
    Bucket bucket(page.span());
    const BucketState state = bucket.verify(g_.store_id(), number);
    if (state == BucketState::unwritten) bucket.clear(g_.store_id());
    co_return state;
  }

  std::uint64_t block_of(const NewestRecord& key) const {
    return p_.table.geometry().block_of(key.place);
  }

  // Reads a write from the log, and puts it into a write slot.
  Task<Status> take_up(NewestRecord& key) {
    block::Buffer buffer(Log::record_storage(g_));
    const Result<LogRecordView> record = co_await p_.log.read_record(key.lsn, buffer);
    if (!record.ok()) co_return record.status();
    const std::uint64_t block = block_of(key);
    std::optional<std::uint32_t> slot;
    while (!(slot = p_.table.reusable(block))) {
      // Nothing is merged before the images are in place; then its turn comes again.
      if (!in_place_) co_return Status();
      Status s = p_.merger.relieve(block);
      if (!s.ok()) {
        co_return Status(s.code(),
                         s.message() +
                             "; the log has more such writes than the cache has write slots for: "
                             "start with the --cache and --write-slots of before");
      }
      co_await p_.queue.wait(block);
    }
    p_.table.reserve(block, *slot, key.place);
    p_.table.publish(block, *slot, record->record(), key.lsn);
    WriteSlot& s = p_.table.slot(block, *slot);
    s.reserved = false;
    if (record->kind != LogKind::tombstone) {
      p_.room.admit_again(s, p_.geometry.home_bucket(key.place),
                          BucketRoom::bytes_of(record->record()));
    }
    p_.queue.wake(block);
    key.done = 1;
    ++report_.records_applied;
    co_return Status();
  }

  void tell_of_damage() const {
    for (const std::string& d : report_.damage.named())
      spdlog::error("{}: acknowledged writes may be missing", d);
    if (const std::uint64_t more = report_.damage.more(); more > 0) {
      spdlog::error("log of {}: {} more of these", p_.device.name(), more);
    }
  }

  void work_done(std::uint64_t of_it) {
    worked_ += of_it;
    progress(0.5 + static_cast<double>(worked_) / static_cast<double>(work_) / 2);
  }
  // `part` of the pass.
  void progress(double part) {
    part_ = std::max(part_, covered_ + (table_->covered() - covered_) * part);
    options_.on_progress(part_);
    if (p_.executor.now() - told_ < kLogProgressEvery) return;
    told_ = p_.executor.now();
    spdlog::info("{}: recovering the log, {:.0f} %", p_.device.name(), 100 * part_);
  }

  const RecoveryParts p_;
  const layout::SsdGeometry& g_;
  const RecoveryOptions options_;
  const RecoveryMemory plan_;
  std::unique_ptr<RecoveryTable> table_;  // from run() on
  RecoveryReport report_;
  std::uint64_t counted_ = 0;  // the table of segments has all that was logged before
  std::map<std::uint32_t, layout::SegmentCount> counts_;  // of segments, since
  bool goes_on_ = false;                                  // the log does
  bool in_place_ = false;  // the images are, of the buckets of this pass and those behind them
  std::uint64_t work_ = 0, worked_ = 0;
  double covered_ = 0;  // the part that earlier passes have done
  double part_ = 0;     // that is done
  const Nanos began_;
  Nanos told_;
};

}  // namespace

Task<Result<RecoveryReport>> recover(RecoveryParts parts, RecoveryOptions options) {
  ShardRecovery recovery(parts, std::move(options));
  co_return co_await recovery.run();
}

}  // namespace scalio::server
