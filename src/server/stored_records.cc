#include "server/stored_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <string>
#include <unordered_map>

#include "base/hash.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "server/parallel.h"
#include "server/recovery_table.h"
#include "store/log_scan.h"
#include "store/ring_reader.h"

namespace scalio::server {

using layout::Bucket;
using layout::BucketState;
using layout::LogRecordView;
using layout::RecordView;
using layout::SsdGeometry;

namespace {
constexpr std::uint64_t kPart = 1 << 20;  // bytes of the home buckets of a part, at least one
constexpr std::uint64_t kParallel = 64;   // reads of log records at a time
constexpr std::uint64_t kBehind = SsdGeometry::kMaxReach;

using Records = std::span<NewestRecord>;
using Images = std::span<const NewestRecord>;

// A record of the log that is not in the buckets.
struct LoggedRecord {
  explicit LoggedRecord(const RecordView& r)
      : key(r.key), value(r.value), version(r.version), kind(r.kind), end(r.end) {}
  RecordView view() const { return {key, value, version, kind, end}; }

  std::string key;
  std::string value;
  std::uint64_t version;
  layout::Kind kind;
  std::uint64_t end;
};

// Buckets in a row, as they are on the SSD or in the log.
class BucketRow {
 public:
  explicit BucketRow(const SsdGeometry& g) : g_(g) {}
  void take(std::uint64_t first, ByteView bytes) {
    first_ = first;
    bytes_.assign(bytes.begin(), bytes.end());
    states_.assign(bytes.size() / g_.bucket_size, BucketState::corrupt);
  }
  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return first_ + states_.size(); }
  ByteSpan bytes(std::uint64_t number) {
    return ByteSpan(bytes_).subspan((number - first_) * g_.bucket_size, g_.bucket_size);
  }
  Bucket bucket(std::uint64_t number) { return Bucket(bytes(number)); }
  BucketState& state(std::uint64_t number) { return states_[number - first_]; }
  bool corrupt(std::uint64_t number) { return state(number) == BucketState::corrupt; }

 private:
  const SsdGeometry& g_;
  std::uint64_t first_ = 0;
  Bytes bytes_;
  std::vector<BucketState> states_;
};

class StoredReader final : public storage::LogVisitor {
 public:
  StoredReader(Executor& executor, block::SalvageDevice& device, const SsdGeometry& geometry,
               StoredOptions options, storage::Findings& damage)
      : executor_(executor),
        device_(device),
        g_(geometry),
        placement_(g_.placement()),
        options_(std::move(options)),
        damage_(damage),
        time_(options_.time),
        row_(g_),
        end_(g_.buckets) {}

  Task<Status> run() {
    Result<storage::LogScan> scan = co_await scan_log();
    // Without its log a store still has its buckets.
    const bool lost = scan.code() == Code::corrupt || scan.code() == Code::io_error;
    if (!scan.ok() && !lost) co_return scan.status();
    if (lost) lose_log(scan.status().message());
    if (scan.ok()) add_damage(scan->damage);
    // A restarted server goes on from the log's time, too (rule 17).
    if (scan.ok()) time_ = std::max(time_, scan->position.time);
    Status s = co_await pass();
    while (s.ok() && table_ && table_->more()) {
      table_->begin_next_pass();
      s = co_await storage::read_log(device_, g_, *options_.key, *scan, storage::RingReads(),
                                     *this);
      if (s.ok()) s = co_await pass();
    }
    co_return s;
  }

  void on_begin() override { table_->clear(); }
  void on_record(const LogRecordView& record) override { table_->offer(record); }
  void on_progress(double part) override {
    progress(part * static_cast<double>(g_.log_size), end_);
  }

 private:
  Task<Result<storage::LogScan>> scan_log() {
    if (!options_.key) co_return Status(Code::corrupt, "there is no key of the store");
    Result<std::unique_ptr<RecoveryTable>> table =
        RecoveryTable::create(g_, *options_.key, options_.memory);
    if (!table.ok()) co_return table.status();
    table_ = *std::move(table);
    co_return co_await storage::scan_log(device_, g_, *options_.key, storage::RingReads(), *this);
  }

  void lose_log(const std::string& why) {
    table_.reset();
    damage_.add(fmt::format(
        "{}: the log of shard {} was not read: {}: what was written last is missing, keys may have "
        "older values, and deleted ones may be back",
        device_.name(), g_.shard, why));
  }
  void add_damage(const storage::Findings& found) {
    for (const std::string& what : found.named())
      damage_.add(what + ": acknowledged writes may be missing");
    if (found.more() > 0)
      damage_.add(fmt::format("log of {}: {} more of these", device_.name(), found.more()));
  }

  // The homes of this pass.
  Task<Status> pass() {
    const RecoveryTable::Sorted found = table_ ? table_->sort() : RecoveryTable::Sorted();
    begin_ = table_ ? table_->lowest() : 0;
    splits_lowest_ = table_ && table_->splits_lowest();
    images_ = found.images;
    Status s = co_await read_homes(found.keys);
    tell_of_corrupt();
    keep_images();
    splits_highest_ = splits_lowest_;
    end_ = std::min(end_, begin_ + splits_lowest_);
    co_return s;
  }

  // The next pass reads a little of the buckets behind its homes, too.
  void keep_images() {
    const auto beyond = [&](const NewestRecord& r) { return r.place > begin_ + kBehind; };
    std::erase_if(kept_images_, beyond);
    const auto last = std::ranges::find_if(images_, beyond);
    kept_images_.insert(kept_images_.begin(), images_.begin(), last);
    images_ = {};
  }

  // The newest image of a bucket; null if the log has none.
  const NewestRecord* image_of(std::uint64_t bucket) const {
    for (const Images images : {Images(images_), Images(kept_images_)}) {
      const auto at = std::ranges::lower_bound(images, bucket, {}, &NewestRecord::place);
      if (at != images.end() && at->place == bucket) return &*at;
    }
    return nullptr;
  }

  Task<Status> read_homes(Records keys) {
    if (begin_ >= end_) co_return Status();
    const std::uint64_t size = g_.bucket_size, step = std::max<std::uint64_t>(kPart / size, 1);
    storage::RingReader ring(device_,
                             {g_.bucket_offset, g_.all_buckets() * size, begin_ * size,
                              (end_ + kBehind - begin_) * size},
                             storage::RingReads(), (step + kBehind) * size);
    Status s;
    auto key = keys.begin();
    for (std::uint64_t at = begin_; s.ok() && at < end_;) {
      const std::uint64_t stop = std::min(at + step, end_);
      s = co_await ring.need((stop + kBehind - at) * size);
      if (!s.ok()) break;
      const auto first = key;
      while (key != keys.end() && table_->bucket_of(*key) < stop) ++key;
      s = co_await read_part(at, stop, ring.ahead().first((stop + kBehind - at) * size),
                             {first, key});
      ring.advance((stop - at) * size);
      at = stop;
      progress(static_cast<double>(g_.log_size), end_ - at);
    }
    co_await ring.drain();
    co_return s;
  }

  Task<Status> read_part(std::uint64_t first, std::uint64_t end, ByteView bytes, Records keys) {
    StoredPart part{first, end, true, {}};
    if (splits_lowest_ && first == begin_) part.whole = false;
    if (splits_highest_ && end == end_) part.whole = false;
    co_await settle(first, bytes);
    for (std::uint64_t n = first; n < row_.end(); ++n) {
      if (!row_.corrupt(n)) continue;
      part.whole = false;
      if (n < end || end == g_.buckets) add_corrupt(n);
    }
    std::deque<LoggedRecord> logged;
    Status s = co_await read_logged(keys, logged, part.whole);
    if (s.ok()) s = collect(logged, part);
    if (s.ok()) s = co_await options_.take(part);
    co_return s;
  }

  // Each bucket as it is once the images are in place.
  Task<void> settle(std::uint64_t first, ByteView bytes) {
    row_.take(first, bytes);
    for (std::uint64_t n = first; n < row_.end(); ++n) {
      Bucket bucket = row_.bucket(n);
      if (!device_.is_lost(g_.bucket_at(n), g_.bucket_size))
        row_.state(n) = bucket.verify(g_.store_id(), n);
      if (const NewestRecord* image = image_of(n)) co_await put_in_place(*image);
      if (row_.state(n) == BucketState::unwritten) bucket.clear(g_.store_id());
    }
  }

  Task<void> put_in_place(const NewestRecord& image) {
    const std::uint64_t n = image.place;
    if (row_.state(n) == BucketState::ok &&
        load<std::uint64_t>(row_.bytes(n).data()) == image.check) {
      co_return;
    }
    const std::uint32_t most = largest_image(g_);
    block::Buffer buffer(storage::record_storage(g_, most));
    const Result<LogRecordView> record =
        co_await storage::read_record(device_, g_, *options_.key, image.lsn, most, buffer);
    if (!record.ok()) {
      row_.state(n) = BucketState::corrupt;
      damage_.add(record.status().message());
      co_return;
    }
    const auto image_buckets = layout::decode_image(record->body, g_.bucket_size);
    for (const layout::ImageBucket& b : *image_buckets) {
      if (b.number == n) copy_bytes(b.bytes, row_.bytes(n).data());
    }
    row_.state(n) = row_.bucket(n).verify(g_.store_id(), n);
  }

  // The records of these keys that the buckets have not.
  Task<Status> read_logged(Records keys, std::deque<LoggedRecord>& logged, bool& whole) {
    for (auto key = keys.begin(); key != keys.end();) {
      const auto first = key;
      const std::uint64_t home = table_->bucket_of(*first);
      while (key != keys.end() && table_->bucket_of(*key) == home) ++key;
      find_in_buckets(home, {first, key});
    }
    Parallel parallel(executor_, kParallel);
    for (const NewestRecord& key : keys) {
      if (!parallel.status().ok()) break;
      if (!key.done) co_await parallel.start(read_one(key.lsn, logged, whole));
    }
    co_return co_await parallel.join();
  }

  // As recovery does: in a damaged bucket nothing is known to be there.
  void find_in_buckets(std::uint64_t home, Records keys) {
    if (row_.corrupt(home)) return;
    const std::uint32_t reach = row_.bucket(home).reach();
    for (std::uint64_t n = home; n <= home + reach; ++n) {
      if (row_.corrupt(n)) return;
      table_->look(row_.bucket(n), keys);
    }
    pass_over_applied(row_.bucket(home), keys);
  }

  Task<Status> read_one(std::uint64_t lsn, std::deque<LoggedRecord>& logged, bool& whole) {
    const std::uint32_t most = layout::BatchBuilder::record_size(0, g_.inline_limit);
    block::Buffer buffer(storage::record_storage(g_, most));
    const Result<LogRecordView> record =
        co_await storage::read_record(device_, g_, *options_.key, lsn, most, buffer);
    if (record.ok()) {
      logged.emplace_back(record->record());
    } else if (record.code() == Code::corrupt) {
      damage_.add(record.status().message() + ": an acknowledged write is missing");
      whole = false;
    } else {
      co_return record.status();
    }
    co_return Status();
  }

  // Of each key the newest. What belongs to a home that is damaged may be anywhere in its reach.
  Status collect(const std::deque<LoggedRecord>& logged, StoredPart& part) {
    std::unordered_map<std::string_view, RecordView> newest;
    const auto add = [&](const RecordView& r) {
      const auto [at, first] = newest.try_emplace(r.key, r);
      if (!first && at->second.version <= r.version) at->second = r;
    };
    for (std::uint64_t n = part.first; n < row_.end(); ++n) {
      if (row_.corrupt(n)) continue;
      row_.bucket(n).for_each([&](const RecordView& r) {
        const std::uint64_t hash = hash_key(r.key, g_.hash_seed);
        const std::uint64_t home = g_.home_bucket(placement_.point_of(hash));
        if (placement_.shard_of(hash) != g_.shard || home < part.first || home >= part.end) return;
        if (home > n || n - home > kBehind) return;
        if (!row_.corrupt(home) && row_.bucket(home).reach() < n - home) return;
        if (is_of_pass(home, r.key)) add(r);
      });
    }
    for (const LoggedRecord& r : logged) add(r.view());
    part.records.reserve(newest.size());
    for (const auto& [key, r] : newest) {
      if (r.kind == layout::Kind::tombstone || r.ended_at(time_)) continue;
      part.records.push_back(r);
    }
    return Status();
  }
  // Of a home that two passes share, each has the keys that its part of the log has.
  bool is_of_pass(std::uint64_t home, std::string_view key) const {
    const bool shared = (splits_lowest_ && home == begin_) || (splits_highest_ && home + 1 == end_);
    return !shared || table_->covers(table_->of_key(key));
  }

  // Those in a row are told together.
  void add_corrupt(std::uint64_t number) {
    if (corrupt_end_ != number) tell_of_corrupt();
    if (corrupt_begin_ == corrupt_end_) corrupt_begin_ = number;
    corrupt_end_ = number + 1;
  }
  void tell_of_corrupt() {
    const std::uint64_t n = corrupt_end_ - corrupt_begin_;
    if (n > 0) {
      damage_.add(fmt::format(
          "{}: {} bucket{} of shard {} from bucket {} on (offset {}, {} bytes) {} damaged: the "
          "records in {} are missing",
          device_.name(), n, n == 1 ? "" : "s", g_.shard, corrupt_begin_,
          g_.bucket_at(corrupt_begin_), n * g_.bucket_size, n == 1 ? "is" : "are",
          n == 1 ? "it" : "them"));
    }
    corrupt_begin_ = corrupt_end_ = 0;
  }

  // So many bytes of the log are read, and so many homes are left.
  void progress(double log, std::uint64_t homes) {
    const auto size = static_cast<double>(g_.bucket_size);
    const double done = log + static_cast<double>(g_.buckets - homes) * size;
    const double all = static_cast<double>(g_.log_size) + static_cast<double>(g_.buckets) * size;
    part_ = std::max(part_, done / all);
    options_.on_progress(part_);
  }

  Executor& executor_;
  block::SalvageDevice& device_;
  const SsdGeometry& g_;
  const layout::Placement placement_;
  const StoredOptions options_;
  storage::Findings& damage_;
  std::uint64_t time_;                    // store time
  std::unique_ptr<RecoveryTable> table_;  // null: the log is left out
  // The newest of the buckets that this pass reads, by bucket: of this pass, and of earlier ones.
  Images images_;
  std::vector<NewestRecord> kept_images_;
  BucketRow row_;
  std::uint64_t begin_ = 0, end_;  // homes of this pass
  bool splits_lowest_ = false;     // of the lowest one, some records are in the next pass
  bool splits_highest_ = false;    // of the highest one, some were in the pass before
  std::uint64_t corrupt_begin_ = 0, corrupt_end_ = 0;  // buckets in a row, not told yet
  double part_ = 0;
};

}  // namespace

Task<Status> read_stored(Executor& executor, block::SalvageDevice& device,
                         const SsdGeometry& geometry, StoredOptions options,
                         storage::Findings& damage) {
  StoredReader reader(executor, device, geometry, std::move(options), damage);
  co_return co_await reader.run();
}

}  // namespace scalio::server
