#include "store/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/hash.h"
#include "block/buffer.h"
#include "block/identity.h"
#include "block/superblock.h"
#include "layout/bucket.h"
#include "layout/value_area.h"
#include "store/log_scan.h"
#include "store/store_files.h"
#include "store/store_key.h"
#include "store/stored_value.h"
#include "task/run_to_end.h"

namespace scalio::storage {

using layout::Bucket;
using layout::BucketState;
using layout::SsdGeometry;

namespace {
constexpr std::uint64_t kReadSize = 1 << 20;

class Verifier {
 public:
  // Without a key the log is left out.
  Verifier(OpenSsd& ssd, std::uint32_t slice, const std::optional<layout::StoreKey>& key,
           const VerifyOptions& options, VerifyReport& report)
      : device_(*ssd.device),
        g_(slice_of(ssd.geometry, slice)),
        placement_(g_.placement()),
        options_(options),
        report_(report) {
    if (key) key_ = layout::log_key_of(*key, g_.shard);
  }

  Task<Status> run(std::function<void(double)> progress) {
    Status s;
    if (key_) s = co_await check_log(*key_);
    if (s.ok() && g_.slice() == 0) s = co_await check_superblocks();
    if (s.ok()) s = co_await check_buckets(progress);
    if (s.ok()) compare_totals();
    co_return s;
  }

 private:
  // What the last kMaxReach + 1 buckets hold, for the records that spilled from one to another.
  struct Seen {
    bool known = false;  // not damaged
    std::uint32_t reach = 0;
    std::vector<std::uint64_t> hashes;
  };

  void problem(std::string text) {
    if (report_.problems.size() < kMaxProblems)
      report_.problems.push_back(device_.name() + ": " + text);
  }

  Task<Status> check_superblocks() {
    if (const std::uint64_t more =
            device_.size() / layout::kSuperblockSize * layout::kSuperblockSize;
        more > g_.device_size) {
      report_.notes.push_back(fmt::format(
          "{} has {} bytes more than when it was formatted; they are not used, and the store's end "
          "is still at {}",
          device_.name(), more - g_.device_size, g_.device_size));
    }
    for (const block::SuperblockDamage& d : co_await block::damaged_superblocks(device_, g_)) {
      const std::string what = fmt::format("superblock at offset {}: {}", d.offset, d.what);
      if (!options_.repair) {
        problem(what + "; the other copy is intact, and `scalio check --repair` writes it there");
      } else if (!log_is_ours_) {
        problem(
            what +
            "; the log does not bear out that the other copy is right, so nothing was repaired");
      } else {
        Status s = co_await block::restore_superblock(device_, g_, d.offset);
        if (!s.ok()) co_return s;
        report_.repaired.push_back(
            fmt::format("{}: {}; written anew from the other copy", device_.name(), what));
      }
    }
    co_return Status();
  }

  // What recovery would take of the log.
  class LoggedRecords final : public LogVisitor {
   public:
    explicit LoggedRecords(Verifier& verifier) : verifier_(verifier) {}
    void on_begin() override {
      verifier_.images_.clear();
      records_ = 0;
    }
    void on_record(const layout::LogRecordView& r) override {
      ++records_;
      if (r.kind != layout::LogKind::image) return;
      // Recovery puts these in place; the last of each bucket counts.
      const auto image = *layout::decode_image(r.body, verifier_.g_.bucket_size);
      for (const auto& b : image)
        verifier_.images_[b.number] = Bytes(b.bytes.begin(), b.bytes.end());
    }
    std::uint64_t records() const { return records_; }

   private:
    Verifier& verifier_;
    std::uint64_t records_ = 0;
  };

  Task<Status> check_log(const layout::LogKey& key) {
    LoggedRecords logged(*this);
    Result<LogScan> scan = co_await scan_log(device_, g_, key, RingReads(), logged);
    if (!scan.ok() && scan.code() != Code::corrupt) co_return scan.status();
    if (!scan.ok()) {
      problem(scan.status().message());
      co_return Status();
    }
    log_is_ours_ = true;
    told_ = scan->position.buckets;
    report_.log_records += logged.records();
    report_.log_batches += scan->batches;
    const Findings& found = scan->damage;
    for (const std::string& what : found.named()) problem(what);
    if (found.more() > 0) problem(fmt::format("{} more of these in the log", found.more()));
    co_return Status();
  }

  Task<Status> check_buckets(const std::function<void(double)>& progress) {
    const std::uint64_t per_read = std::max<std::uint64_t>(1, kReadSize / g_.bucket_size);
    block::Buffer buffer(per_read * g_.bucket_size);
    for (std::uint64_t first = 0; first < g_.all_buckets(); first += per_read) {
      const std::uint64_t n = std::min(per_read, g_.all_buckets() - first);
      Status s = co_await device_.read(g_.bucket_at(first), buffer.first(n * g_.bucket_size));
      if (!s.ok()) co_return s;
      for (std::uint64_t i = 0; i < n; ++i) {
        ByteSpan bytes = buffer.span().subspan(i * g_.bucket_size, g_.bucket_size);
        if (auto image = images_.find(first + i); image != images_.end()) {
          std::copy(image->second.begin(), image->second.end(), bytes.begin());
        }
        check_bucket(first + i, Bucket(bytes));
      }
      if (s = co_await check_values(); !s.ok()) co_return s;
      report_.buckets_read += n;
      progress(static_cast<double>(first) / static_cast<double>(g_.all_buckets()));
    }
    // Buckets that were never written look the same on any other device (rule 12).
    co_return co_await block::check_identity(device_, g_);
  }

  // What was lost of the log is not in its figures: they are only told, by `scalio stat`.
  void compare_totals() {
    if (!told_ || any_corrupt_ || *told_ == counted_) return;
    report_.notes.push_back(fmt::format(
        "{}: the log of shard {} counts {} records of {} bytes in its buckets, and there are {} "
        "of {}: part of the log was lost, and `scalio stat` is wrong by as much",
        device_.name(), g_.shard, static_cast<std::int64_t>(told_->records),
        static_cast<std::int64_t>(told_->bytes), counted_.records, counted_.bytes));
  }

  void check_bucket(std::uint64_t number, const Bucket& bucket) {
    Seen here;
    const BucketState state = bucket.verify(g_.store_id(), number);
    if (state == BucketState::corrupt) {
      problem(
          fmt::format("bucket {} at offset {} fails its checksum", number, g_.bucket_at(number)));
    }
    here.known = state != BucketState::corrupt;
    any_corrupt_ |= !here.known;
    if (state == BucketState::ok) {
      counted_ += bucket.totals();
      here.reach = bucket.reach();
      bucket.for_each([&](const layout::RecordView& r) { check_record(number, r, here); });
    }
    window_.push_back(std::move(here));
    if (window_.size() > SsdGeometry::kMaxReach) window_.pop_front();
  }

  void check_record(std::uint64_t number, const layout::RecordView& r, Seen& here) {
    ++report_.records;
    report_.record_bytes += layout::kBucketRecordHeader + payload_size(r);
    const std::uint64_t hash = hash_key(r.key, g_.hash_seed);
    const std::uint64_t home = g_.home_bucket(placement_.point_of(hash));
    const auto place = [&] {
      return fmt::format("record in bucket {} at offset {} (version {})", number,
                         g_.bucket_at(number), r.version);
    };
    if (placement_.shard_of(hash) != g_.shard) problem(place() + " belongs to another shard");
    if (home > number || number - home > SsdGeometry::kMaxReach) {
      problem(place() + fmt::format(" belongs to bucket {}", home));
    } else if (home < number) {
      const Seen& h = window_[window_.size() - (number - home)];
      if (h.known && h.reach < number - home) {
        problem(place() + fmt::format(" is beyond the reach of its home bucket {}", home));
      }
      for (std::size_t i = window_.size() - (number - home); i < window_.size(); ++i)
        check_once(window_[i], hash, place);
    }
    check_once(here, hash, place);
    here.hashes.push_back(hash);
    if (r.kind != layout::Kind::pointer) return;
    const auto pointer = layout::decode_pointer(as_bytes(r.value), r.key.size(), g_);
    if (!pointer) return problem(place() + " points outside the value log");
    values_.push_back({*pointer, std::string(r.key), r.version});
  }

  // A value that a record has in the value log.
  struct Value {
    layout::Pointer pointer;
    std::string key;
    std::uint64_t version;
  };
  // Those of the buckets that were checked last.
  Task<Status> check_values() {
    for (const Value& v : values_) {
      report_.value_bytes += v.pointer.length;
      ++report_.values;
      const Result<bool> intact =
          co_await read_stored_value(device_, g_, v.pointer, v.key, v.version, [](ByteView) {});
      if (!intact.ok()) co_return intact.status();
      if (*intact) continue;
      problem(fmt::format("the value of version {} at offset {} fails its checksum", v.version,
                          g_.value_offset() + v.pointer.offset));
    }
    values_.clear();
    co_return Status();
  }
  template <class Place>
  void check_once(const Seen& seen, std::uint64_t hash, Place place) {
    if (std::find(seen.hashes.begin(), seen.hashes.end(), hash) != seen.hashes.end()) {
      problem(place() + " is there twice");
    }
  }

  block::BlockDevice& device_;
  const SsdGeometry g_;
  const layout::Placement placement_;
  std::optional<layout::LogKey> key_;
  const VerifyOptions& options_;
  VerifyReport& report_;
  bool log_is_ours_ = false;  // has an intact batch, which the superblock's identity is part of
  std::optional<layout::BucketTotals> told_;  // by the log
  layout::BucketTotals counted_;
  bool any_corrupt_ = false;
  std::unordered_map<std::uint64_t, Bytes> images_;
  std::deque<Seen> window_;
  std::vector<Value> values_;  // to be checked
};
}  // namespace

Result<VerifyReport> verify_store(const std::string& dir, std::function<void(double)> progress,
                                  const VerifyOptions& options) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  Result<std::vector<OpenSsd>> ssds = open_ssds(
      dir, {loop->get()}, options.repair ? block::Access::exclusive : block::Access::shared);
  if (!ssds.ok()) return ssds.status();
  VerifyReport report;
  std::optional<layout::StoreKey> key;
  const Result<layout::StoreKey> found = read_store_key(dir, (*ssds)[0].geometry);
  if (found.ok()) {
    key = *found;
  } else {
    report.problems.push_back(
        found.status().message() +
        "; so the logs were not checked, and a bucket that fails here may be whole in its log");
  }
  std::uint64_t room = 0;
  const std::uint32_t shards = (*ssds)[0].geometry.shards;
  for (std::uint32_t i = 0; i < shards; ++i) {
    OpenSsd& ssd = (*ssds)[i / (*ssds)[0].geometry.slices];
    const std::uint32_t slice = i % ssd.geometry.slices;
    if (slice == 0 && !ssd.moved.empty()) report.notes.push_back(ssd.moved);
    room += ssd.geometry.buckets * (ssd.geometry.bucket_size - layout::kBucketHeader);
    Verifier checker(ssd, slice, key, options, report);
    const auto part = [&](double done) { progress((i + done) / shards); };
    Status s = run_to_end(**loop, checker.run(part));
    if (!s.ok()) return s;
  }
  report.full = static_cast<double>(report.record_bytes) / static_cast<double>(room);
  progress(1);
  return report;
}

}  // namespace scalio::storage
