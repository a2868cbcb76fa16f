#include "server/merger.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "layout/rules.h"

namespace scalio::server {

using layout::BatchBuilder;
using layout::LogKind;

namespace {
// Merges in flight: enough to keep an SSD busy, few enough to bound their buffers.
constexpr std::uint64_t kMaxMerges = 32;
// Blocks a checkpoint looks at before others get their turn.
constexpr std::uint64_t kScanStep = 4096;
}  // namespace

Merger::Merger(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
               BlockTable& table, Log& log, SlotRepair& repair, std::function<void(Status)> fail)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      table_(table),
      log_(log),
      repair_(repair),
      fail_(std::move(fail)),
      buckets_(executor, device, geometry, *this),
      permits_(executor, kMaxMerges),
      ended_(executor),
      log_space_(executor),
      work_(executor) {}

// --- Log space
// ------------------------------------------------------------------------------------------

std::uint64_t Merger::reserved_per_write() const {
  // At worst each image is a batch of its own.
  return round_up(layout::kBatchHeader +
                      BatchBuilder::record_size(0, layout::image_body_size(layout::kMaxImageBuckets,
                                                                           geometry_.bucket_size)),
                  geometry_.block_size);
}

bool Merger::admits(std::uint32_t record_size) const {
  if (!kept(Rule::log_space)) return true;
  // Slack: what may be lost at the ring's end, and the batches that declare the new tail.
  const std::uint64_t slack = 2 * std::uint64_t{layout::max_batch(geometry_)};
  return log_.free() >= (obligations() + 1) * reserved_per_write() + layout::kBatchHeader +
                            round_up(record_size, geometry_.block_size) + slack;
}

bool Merger::wants_checkpoint() const {
  return log_blocked_ ||
         log_.free() < obligations() * reserved_per_write() + geometry_.log_size / 4;
}

void Merger::admit(std::uint64_t lsn) {
  unpublished_.insert(lsn);
  if (wants_checkpoint()) work_.wake_all();
}

void Merger::settle(std::uint64_t lsn) {
  auto it = unpublished_.find(lsn);
  SCALIO_ASSERT(it != unpublished_.end());
  unpublished_.erase(it);
}

Task<void> Merger::wait_for_log() {
  log_blocked_ = true;
  work_.wake_all();
  co_await log_space_.wait();
}

Task<Status> Merger::log_image(const std::vector<layout::ImageBucket>& image,
                               std::uint64_t* token) {
  Bytes body;
  body.reserve(layout::image_body_size(image.size(), geometry_.bucket_size));
  layout::encode_image(body, image);
  co_await log_.room(0, static_cast<std::uint32_t>(body.size()));
  if (!log_.failure().ok()) co_return log_.failure();
  const Log::Ticket t = log_.add(LogKind::image, 0, "", body);
  *token = t.lsn;
  images_.insert(t.lsn);
  co_return co_await log_.durable(t.batch);
}

void Merger::image_in_place(std::uint64_t token) {
  auto it = images_.find(token);
  SCALIO_ASSERT(it != images_.end());
  images_.erase(it);
}

// --- Merging
// --------------------------------------------------------------------------------------------

void Merger::prepare(std::uint64_t block) {
  if (full_ || !failure().ok() || table_.reusable(block)) return;
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    if (table_.slot(block, i).merging) return;
  }
  if (auto coldest = table_.mergeable(block, !full_))
    start(geometry_.home_bucket(table_.slot(block, *coldest).hash));
}

Status Merger::relieve(std::uint64_t block) {
  if (!failure().ok()) return failure();
  const WriteSlot* damaged = nullptr;
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    const WriteSlot& s = table_.slot(block, i);
    // A slot on its way to being free, or to being dirty: there is something to wait for.
    if (s.merging || (s.reserved && !s.dirty())) return Status();
    if (s.stuck == Stuck::damaged) damaged = &s;
  }
  if (auto coldest = table_.mergeable(block, !full_)) {
    start(geometry_.home_bucket(table_.slot(block, *coldest).hash));
    return Status();
  }
  if (table_.reusable(block)) return Status();
  if (!damaged) return no_room();
  return Status(
      Code::corrupt,
      fmt::format("bucket {} of {} is damaged and the writes waiting for it fill their block; "
                  "run `scalio check`",
                  geometry_.home_bucket(damaged->hash), device_.name()));
}

Status Merger::no_room() const {
  return Status(Code::full, fmt::format("no room on {}; delete keys", device_.name()));
}

Task<void> Merger::wait_for(std::uint64_t block) {
  std::unique_ptr<WaitList>& waiters = block_waiters_[block];
  if (!waiters) waiters = std::make_unique<WaitList>(executor_);
  co_await waiters->wait();
}

Task<void> Merger::wait_for_slot(std::uint64_t block) {
  ++starving_[block];
  co_await wait_for(block);
  if (--starving_[block] == 0) starving_.erase(block);
}

void Merger::wake(std::uint64_t block) {
  auto it = block_waiters_.find(block);
  if (it == block_waiters_.end()) return;
  it->second->wake_all();
  block_waiters_.erase(it);
}

void Merger::wake_all() {
  for (auto& [block, waiters] : block_waiters_) waiters->wake_all();
  block_waiters_.clear();
  log_space_.wake_all();
  work_.wake_all();
}

Status Merger::failure() const { return failed_.ok() ? log_.failure() : failed_; }

void Merger::give_up(const Status& why) {
  if (failed_.ok()) failed_ = why;
  fail_(why);
}

Task<void> Merger::drain() {
  while (running_ > 0 || checkpointing_) co_await ended_.wait();
}

void Merger::start(std::uint64_t bucket) {
  if (!scheduled_.insert(bucket).second) return;
  ++running_;
  executor_.spawn(merge(bucket));
}

Task<Status> Merger::capture(const Captured& at, Change* change) {
  Result<BlockTable::Published> p = co_await repair_.read(at.block, at.slot);
  if (!p.ok()) co_return p.status();
  *change = {std::move(p->key), std::move(p->value), p->version, p->kind};
  co_return Status();
}

Task<void> Merger::merge(std::uint64_t bucket) {
  // Whoever started it may be about to wait for its end.
  co_await executor_.yield();
  co_await permits_.acquire();
  co_await buckets_.lock(bucket);
  scheduled_.erase(bucket);

  // All that is pending for the bucket, wherever its keys' blocks are: so everything of it that was
  // published by now is applied, and the bucket may say so.
  const auto first_hash = static_cast<std::uint64_t>(
      ((static_cast<unsigned __int128>(bucket) << 64) + geometry_.buckets - 1) / geometry_.buckets);
  const auto last_hash = static_cast<std::uint64_t>(
      ((static_cast<unsigned __int128>(bucket + 1) << 64) + geometry_.buckets - 1) /
          geometry_.buckets -
      1);
  std::vector<Captured> captured;
  for (std::uint64_t block = table_.geometry().block_of(first_hash);
       block <= table_.geometry().block_of(last_hash); ++block) {
    for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
      WriteSlot& s = table_.slot(block, i);
      if (!s.dirty() || geometry_.home_bucket(s.hash) != bucket) continue;
      s.merging = true;
      captured.push_back({block, i});
    }
  }
  captured_ += captured.size();
  const std::uint64_t applied = replaying_ ? 0
                                : unpublished_.empty()
                                    ? log_.open_lsn()
                                    : std::min(*unpublished_.begin(), log_.open_lsn());

  Status status = failure();
  std::vector<Change> changes(captured.size());
  for (std::size_t i = 0; status.ok() && i < captured.size(); ++i)
    status = co_await capture(captured[i], &changes[i]);
  if (status.ok() && !changes.empty() && kept(Rule::merge_before_free))
    status = co_await buckets_.apply(bucket, changes, applied);

  if (status.ok() && !changes.empty()) {
    ++counters_.merges;
    counters_.merged_records += changes.size();
  } else if (status.code() == Code::corrupt) {
    if (reported_.insert(bucket).second) {
      ++counters_.damaged_buckets;
      spdlog::error("{}", status.message());
    }
  } else if (!status.ok()) {
    give_up(status);
  }
  for (std::size_t i = 0; i < captured.size(); ++i) {
    WriteSlot& s = table_.slot(captured[i].block, captured[i].slot);
    s.merging = false;
    // Rule 7: a value that changed meanwhile stays DIRTY.
    if (status.ok() && !changes[i].full &&
        (s.version == changes[i].version || !kept(Rule::dirty_if_changed))) {
      table_.set_clean(captured[i].block, captured[i].slot);
    } else if (status.code() == Code::corrupt) {
      s.stuck = Stuck::damaged;
    } else if (changes[i].full && s.version == changes[i].version) {
      s.stuck = Stuck::full;
    }
    if (status.ok() && changes[i].kind == layout::Kind::tombstone) full_ = false;
    if (changes[i].full) {
      if (!full_)
        spdlog::error("{} has no room near bucket {}: puts are refused until keys are deleted",
                      device_.name(), bucket);
      full_ = true;
    }
    wake(captured[i].block);
  }
  captured_ -= captured.size();
  buckets_.unlock(bucket);
  permits_.release();
  --running_;
  ended_.wake_all();
}

// --- Checkpoints
// ----------------------------------------------------------------------------------------

// A write that cannot be merged is added to the log once more, so that it does not hold the tail.
Task<Status> Merger::log_again(std::uint64_t block, std::uint32_t i) {
  Change change;
  Status s = co_await capture({block, i}, &change);
  if (!s.ok()) co_return s;
  co_await log_.room(static_cast<std::uint32_t>(change.key.size()),
                     static_cast<std::uint32_t>(change.value.size()));
  if (!log_.failure().ok()) co_return log_.failure();
  // A newer write that is in the log already must not be followed by this older one: recovery would
  // take it for the newest.
  WriteSlot& slot = table_.slot(block, i);
  if (!slot.dirty() || slot.version != change.version || slot.in_log > 0) {
    co_await executor_.yield();
    co_return Status();
  }
  const LogKind kind = change.kind == layout::Kind::tombstone ? LogKind::tombstone : LogKind::value;
  const Log::Ticket t = log_.add(kind, change.version, change.key, as_bytes(change.value));
  admit(t.lsn);
  s = co_await log_.durable(t.batch);
  settle(t.lsn);
  if (s.ok() && slot.dirty() && slot.version == change.version) slot.lsn = t.lsn;
  co_return s;
}

Task<Status> Merger::checkpoint(std::uint64_t target) {
  while (checkpointing_) co_await ended_.wait();
  checkpointing_ = true;
  ++counters_.checkpoints;
  // What is logged from now on, or logged and not published, would enter a slot behind the scan
  // below.
  target = std::min(target, log_.open_lsn());
  if (!unpublished_.empty()) target = std::min(target, *unpublished_.begin());
  Status status = failure();
  bool retry_stuck = true;  // once: a bucket may have been repaired, or keys deleted
  for (bool remaining = true; remaining && status.ok();) {
    remaining = false;
    for (std::uint64_t block = 0; block < table_.geometry().blocks && status.ok(); ++block) {
      for (std::uint32_t i = 0; i < table_.geometry().write_slots && status.ok(); ++i) {
        WriteSlot& s = table_.slot(block, i);
        if (!s.dirty() || s.lsn >= target) continue;
        if (retry_stuck) s.stuck = Stuck::no;
        remaining = true;
        if (s.stuck != Stuck::no) {
          status = co_await log_again(block, i);
          continue;
        }
        start(geometry_.home_bucket(s.hash));
        while (running_ >= kMaxMerges) co_await ended_.wait();
      }
      if (block % kScanStep == kScanStep - 1) co_await executor_.yield();
    }
    retry_stuck = false;
    while (running_ > 0) co_await ended_.wait();
    if (status.ok()) status = failure();
  }
  if (status.ok()) {
    // Nor may images of buckets that are still being written be dropped.
    if (!images_.empty()) target = std::min(target, *images_.begin());
    status = co_await device_.flush();
    if (!status.ok()) give_up(status);
  }
  if (status.ok()) status = co_await log_.advance_tail(target);
  checkpointing_ = false;
  log_blocked_ = false;
  log_space_.wake_all();
  ended_.wake_all();
  co_return status;
}

Task<void> Merger::run() {
  while (!stopping_) {
    if (!wants_checkpoint()) {
      co_await work_.wait();
      continue;
    }
    const std::uint64_t free = log_.free(), owed = obligations();
    // The older half; all of it if a write is waiting for space.
    const std::uint64_t target = log_blocked_ ? log_.head() : log_.head() - log_.used() / 2;
    Status s = co_await checkpoint(target);
    if (!s.ok()) {
      give_up(s);
      break;
    }
    // Writes that cannot be merged may leave nothing to gain: try again when there is something
    // new.
    if (log_.free() <= free && obligations() >= owed && !stopping_) co_await work_.wait();
  }
}

void Merger::stop() {
  stopping_ = true;
  work_.wake_all();
}

}  // namespace scalio::server
