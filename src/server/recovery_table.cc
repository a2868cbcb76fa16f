#include "server/recovery_table.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/error_text.h"
#include "base/hash.h"
#include "layout/rules.h"

namespace scalio::server {

namespace {
// So full of records that finding one stays short.
constexpr std::uint64_t limit_of(std::uint64_t capacity) { return capacity - capacity / 8; }

// No record in the log is smaller than what is kept of it.
std::uint64_t capacity_for(std::uint64_t memory, std::uint64_t log_size) {
  const std::uint64_t most = log_size / sizeof(NewestRecord) * 8 / 7 + RecoveryTable::kLeast;
  return std::max(RecoveryTable::kLeast, std::min(memory / sizeof(NewestRecord), most));
}

bool newer(const NewestRecord& a, const NewestRecord& b) {
  if (a.image) return a.lsn > b.lsn;
  const bool is = a.version != b.version ? a.version > b.version : a.lsn > b.lsn;
  return kept(Rule::newest_record) ? is : !is;
}

bool same(const NewestRecord& a, const NewestRecord& b) {
  return a.place == b.place && a.image == b.image && (a.image || a.check == b.check);
}
}  // namespace

std::uint32_t largest_image(const layout::SsdGeometry& g) {
  return layout::BatchBuilder::record_size(
      0, layout::image_body_size(layout::kMaxImageBuckets, g.bucket_size));
}

void pass_over_applied(const layout::Bucket& home, std::span<NewestRecord> keys) {
  for (NewestRecord& key : keys) {
    if (key.lsn < home.applied()) key.done = 1;
  }
}

void RecoveryTable::Unmap::operator()(NewestRecord* p) const { munmap(p, bytes); }

Result<std::unique_ptr<RecoveryTable>> RecoveryTable::create(const layout::SsdGeometry& geometry,
                                                             const layout::LogKey& key,
                                                             std::uint64_t memory) {
  const std::uint64_t bytes = capacity_for(memory, geometry.log_size) * sizeof(NewestRecord);
  // Straight from the system, zeroed, and back to it: the memory is not the server's for longer.
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    return Status(Code::unavailable,
                  fmt::format("the log cannot be recovered: {} bytes of memory for that: {}", bytes,
                              error_text(errno)));
  }
  return std::unique_ptr<RecoveryTable>(
      new RecoveryTable(geometry, key, Slots(static_cast<NewestRecord*>(p), {bytes})));
}

RecoveryTable::RecoveryTable(const layout::SsdGeometry& geometry, const layout::LogKey& key,
                             Slots slots)
    : geometry_(geometry),
      placement_(geometry.placement()),
      key_(key),
      capacity_(slots.get_deleter().bytes / sizeof(NewestRecord)),
      slots_(std::move(slots)),
      top_{std::numeric_limits<std::uint64_t>::max(), 0, 0, 0} {}

NewestRecord RecoveryTable::of_key(std::string_view key) const {
  NewestRecord r;
  r.place = placement_.point_of(hash_key(key, geometry_.hash_seed));
  r.check = load<std::uint64_t>(
      reinterpret_cast<const std::byte*>(layout::mac(key_.record, as_bytes(key)).data()));
  return r;
}

// Where it is looked for first.
std::uint64_t RecoveryTable::home_of(const NewestRecord& r) const {
  return scale(r.image ? mix(r.place + 1) : r.check, capacity_);
}

void RecoveryTable::clear() {
  NewestRecord* const all = slots_.get();
  if (used_ > 0) std::fill(all, all + capacity_, NewestRecord());
  used_ = 0;
  low_ = Order();
}

void RecoveryTable::offer(const NewestRecord& record) {
  SCALIO_ASSERT(record.lsn != 0);
  const Order order = order_of(record);
  if (order < low_ || order >= top_) return;
  NewestRecord* const all = slots_.get();
  std::uint64_t i = home_of(record);
  for (; all[i].lsn != 0; i = next(i)) {
    if (!same(all[i], record)) continue;
    if (!newer(record, all[i])) return;
    all[i] = record;
    all[i].placed = 1;
    return;
  }
  all[i] = record;
  all[i].placed = 1;
  if (++used_ >= limit_of(capacity_)) narrow();
}

void RecoveryTable::offer(const layout::LogRecordView& record) {
  if (layout::is_write(record.kind)) {
    NewestRecord r = of_key(record.key);
    r.lsn = record.lsn;
    r.version = record.version;
    r.pointer = record.kind == layout::LogKind::pointer ? 1 : 0;
    offer(r);
    return;
  }
  if (record.kind != layout::LogKind::image) return;
  const auto image = *layout::decode_image(record.body, geometry_.bucket_size);
  for (const layout::ImageBucket& bucket : image) {
    NewestRecord r;
    r.place = bucket.number;
    r.check = load<std::uint64_t>(bucket.bytes.data());
    r.lsn = record.lsn;
    r.image = 1;
    offer(r);
  }
}

// Moves all that is there to the front; returns how many.
std::uint64_t RecoveryTable::compact() {
  NewestRecord* const all = slots_.get();
  std::uint64_t n = 0;
  for (std::uint64_t i = 0; i < capacity_; ++i) {
    if (all[i].lsn == 0) continue;
    NewestRecord r = std::exchange(all[i], NewestRecord());
    r.placed = 0;
    all[n++] = r;
  }
  return n;
}

// Brings what compact() has left, or some of it, to where it is looked for. What stands there and
// has not been placed itself is next.
void RecoveryTable::place_all() {
  NewestRecord* const all = slots_.get();
  for (std::uint64_t from = 0; from < capacity_; ++from) {
    if (all[from].lsn == 0 || all[from].placed) continue;
    NewestRecord r = std::exchange(all[from], NewestRecord());
    while (r.lsn != 0) {
      std::uint64_t to = home_of(r);
      while (all[to].placed) to = next(to);
      r.placed = 1;
      std::swap(r, all[to]);
    }
  }
}

// The upper half stays, and of that whole buckets unless there is only one.
void RecoveryTable::narrow() {
  NewestRecord* const all = slots_.get();
  const std::uint64_t n = compact(), half = n / 2;
  const auto before = [this](const NewestRecord& a, const NewestRecord& b) {
    return order_of(a) < order_of(b);
  };
  std::nth_element(all, all + half, all + n, before);
  low_ = order_of(all[half]);
  const Order whole{low_.bucket + 1, 0, 0, 0};
  const auto kept_by = [this](const Order& low) {
    return [this, low](const NewestRecord& r) { return order_of(r) >= low; };
  };
  if (std::any_of(all + half, all + n, kept_by(whole))) low_ = whole;
  NewestRecord* const end = std::partition(all, all + n, kept_by(low_));
  std::fill(end, all + n, NewestRecord());
  used_ = static_cast<std::uint64_t>(end - all);
  place_all();
}

RecoveryTable::Sorted RecoveryTable::sort() {
  NewestRecord* const all = slots_.get();
  NewestRecord* const end = all + compact();
  NewestRecord* const keys =
      std::partition(all, end, [](const NewestRecord& r) { return r.image != 0; });
  const auto before = [this](const NewestRecord& a, const NewestRecord& b) {
    return order_of(a) < order_of(b);
  };
  std::sort(all, keys, before);
  std::sort(keys, end, before);
  return {{all, keys}, {keys, end}};
}

void RecoveryTable::look(const layout::Bucket& bucket, std::span<NewestRecord> keys) const {
  if (keys.empty()) return;
  bucket.for_each([&](const layout::RecordView& stored) {
    const NewestRecord wanted = of_key(stored.key);
    for (NewestRecord& key : keys) {
      if (key.place != wanted.place || key.check != wanted.check) continue;
      // A value that was moved has its version still: `applied` says whether that is there.
      if (stored.version > key.version || (stored.version == key.version && !key.pointer))
        key.done = 1;
    }
  });
}

void RecoveryTable::begin_next_pass() {
  top_ = low_;
  clear();
}

double RecoveryTable::covered() const {
  return 1 - static_cast<double>(low_.bucket) / static_cast<double>(geometry_.all_buckets());
}

}  // namespace scalio::server
