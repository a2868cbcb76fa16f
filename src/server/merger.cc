#include "server/merger.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "layout/rules.h"

namespace scalio::server {

Merger::Merger(Executor& executor, const block::BlockDevice& device,
               const layout::SsdGeometry& geometry, BlockTable& table, Log& log, LogSpace& space,
               SlotQueue& queue, SlotRepair& repair, BucketStore& buckets, BucketRoom& room,
               FailStop& stop, std::uint64_t most)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      table_(table),
      log_(log),
      space_(space),
      queue_(queue),
      repair_(repair),
      buckets_(buckets),
      room_(room),
      stop_(stop),
      most_(most),
      ended_(executor) {}

void Merger::prepare(std::uint64_t block) {
  if (!failure().ok() || table_.reusable(block)) return;
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    if (table_.slot(block, i).merging) return;
  }
  if (auto coldest = table_.mergeable(block))
    start(geometry_.home_bucket(table_.slot(block, *coldest).hash));
}

// Rule 10: whoever finds all write slots taken has one merged.
Status Merger::relieve(std::uint64_t block) {
  if (!failure().ok()) return failure();
  const WriteSlot* stuck = nullptr;
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    const WriteSlot& s = table_.slot(block, i);
    // A slot on its way to being free, or to being dirty: there is something to wait for.
    if (s.merging || (s.reserved && !s.dirty())) return Status();
    if (s.stuck) stuck = &s;
  }
  if (auto coldest = table_.mergeable(block)) {
    start(geometry_.home_bucket(table_.slot(block, *coldest).hash), Urgency::waited);
    return Status();
  }
  if (table_.reusable(block) || !stuck) return Status();
  return cannot_merge(*stuck);
}

Status Merger::cannot_merge(const WriteSlot& stuck) const {
  return Status(
      Code::corrupt,
      fmt::format("bucket {} of {}, or one behind it, is damaged, and writes that wait for it are "
                  "in the way; run `scalio check`",
                  geometry_.home_bucket(stuck.hash), device_.name()));
}

// Each slot that is in use by a key near the home.
template <class F>
void Merger::for_each_near(std::uint64_t home, F f) {
  const layout::RegionGeometry& blocks = table_.geometry();
  const BucketRoom::Homes homes = room_.near(home);
  const std::uint64_t last = blocks.block_of(geometry_.first_point_of(homes.last + 1) - 1);
  for (std::uint64_t block = blocks.block_of(geometry_.first_point_of(homes.first)); block <= last;
       ++block) {
    for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
      const WriteSlot& s = table_.slot(block, i);
      const std::uint64_t of = geometry_.home_bucket(s.hash);
      if (of >= homes.first && of <= homes.last) f(s, of);
    }
  }
}

Status Merger::merge_counted(std::uint64_t home) {
  bool others = false;
  const WriteSlot* stuck = nullptr;
  for_each_near(home, [&](const WriteSlot& s, std::uint64_t of) {
    if (s.room == SlotRoom::old_record) return;
    const bool waits = s.dirty() && !s.merging;
    if (waits && s.stuck) {
      stuck = &s;
      return;
    }
    others = true;
    if (waits) start(of, Urgency::waited);
  });
  return others || stuck == nullptr ? Status() : cannot_merge(*stuck);
}

void Merger::merge_near(std::uint64_t home) {
  for_each_near(home, [this](const WriteSlot& s, std::uint64_t of) {
    if (s.dirty() && !s.stuck) start(of, Urgency::waited);
  });
}

Task<void> Merger::await_started() {
  const std::uint64_t last = started_;
  while (running_.oldest().value_or(last + 1) <= last) co_await ended_.wait();
}

bool Merger::unmerged(std::uint64_t home, std::uint64_t lsn) {
  const layout::RegionGeometry& blocks = table_.geometry();
  const std::uint64_t last = blocks.block_of(geometry_.first_point_of(home + 1) - 1);
  for (std::uint64_t block = blocks.block_of(geometry_.first_point_of(home)); block <= last;
       ++block) {
    for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
      const WriteSlot& s = table_.slot(block, i);
      if (geometry_.home_bucket(s.hash) != home) continue;
      if (s.dirty() && s.lsn < lsn) return true;
    }
  }
  return false;
}

Task<void> Merger::drain() {
  while (running_.size() > 0) co_await ended_.wait();
}

void Merger::start(std::uint64_t bucket, Urgency urgency) {
  const bool waited = urgency == Urgency::waited;
  const Stage stage = waited ? Stage::waited : Stage::ahead;
  auto [it, fresh] = scheduled_.try_emplace(bucket, Scheduled{stage, started_ + 1});
  if (!fresh && (!waited || it->second.stage != Stage::ahead)) return;
  it->second.stage = stage;
  (waited ? waited_ : ahead_).push_back(bucket);
  if (!fresh) return;
  running_.add(++started_);
  if (workers_ == most_) return;
  ++workers_;
  executor_.spawn(work());
}

// Merges until nothing is to be merged. As many of these run as there are merges to be done, and
// no more than most().
Task<void> Merger::work() {
  // Whoever started it may be about to wait for its end.
  co_await executor_.yield();
  while (const std::optional<std::uint64_t> bucket = next()) co_await merge(*bucket);
  --workers_;
  ended_.wake_all();  // it may have emptied the queues without a merge
}

// The bucket that is merged next, if there is one. One of four merges is of those that nobody waits
// for, and one of two while the log is short of space: else it would fill up behind the others.
std::optional<std::uint64_t> Merger::next() {
  const auto take = [this](Ring<std::uint64_t>& queue,
                           Stage stage) -> std::optional<std::uint64_t> {
    while (!queue.empty()) {
      const std::uint64_t bucket = queue.front();
      queue.pop_front();
      const auto it = scheduled_.find(bucket);
      if (it == scheduled_.end() || it->second.stage != stage) continue;
      it->second.stage = Stage::begun;
      return bucket;
    }
    return std::nullopt;
  };
  const bool ahead_first = ++begun_ % (space_.scarce() ? 2 : 4) == 0;
  std::optional<std::uint64_t> bucket =
      ahead_first ? take(ahead_, Stage::ahead) : take(waited_, Stage::waited);
  if (bucket) return bucket;
  return ahead_first ? take(waited_, Stage::waited) : take(ahead_, Stage::ahead);
}

Task<void> Merger::merge(std::uint64_t bucket) {
  const Nanos began = executor_.now();
  if (!buckets_.try_lock(bucket)) co_await buckets_.lock(bucket);
  const auto scheduled = scheduled_.find(bucket);
  const std::uint64_t number = scheduled->second.number;
  scheduled_.erase(scheduled);

  List<Gathered> writes = gather(bucket);
  // Everything of the bucket that was published by now is applied, and the bucket may say so.
  const std::uint64_t applied = replaying_ ? 0 : space_.published_below();
  Changes changes(writes.size());
  const std::uint64_t ended = counters_.ended;
  Status merged = co_await read(writes, changes);
  // Rule 7: the bucket is written before the slots are clean.
  if (merged.ok() && !changes.empty() && kept(Rule::merge_before_free))
    merged = co_await buckets_.apply(bucket, changes, applied, this);

  account(bucket, changes.size(), began, merged);
  if (counters_.ended != ended) room_.full().clear_near(bucket);
  for (std::size_t i = 0; i < writes.size(); ++i) {
    conclude(writes[i], changes[i], merged);
    note_room(bucket, changes[i], merged);
    queue_.wake(writes[i].block);
  }
  space_.release(writes.size());
  buckets_.unlock(bucket);
  running_.remove(number);
  ended_.wake_all();
}

// Takes all that is pending for the bucket, wherever its keys' blocks are.
Merger::List<Merger::Gathered> Merger::gather(std::uint64_t bucket) {
  const layout::RegionGeometry& blocks = table_.geometry();
  const std::uint64_t first = blocks.block_of(geometry_.first_point_of(bucket)),
                      last = blocks.block_of(geometry_.first_point_of(bucket + 1) - 1);
  List<Gathered> writes;
  for (std::uint64_t block = first; block <= last; ++block) {
    for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
      WriteSlot& s = table_.slot(block, i);
      if (!s.dirty() || geometry_.home_bucket(s.hash) != bucket) continue;
      s.merging = true;
      writes.push_back({block, i, std::nullopt, s.lsn});
    }
  }
  space_.gather(writes.size());
  return writes;
}

bool Merger::has_ended(const layout::RecordView& record) {
  return record.ended_at(log_.passed_time());
}

// What has ended for sure, unless a write counts on its room (rule 14).
bool Merger::may_drop(const layout::RecordView& record) {
  if (!has_ended(record)) return false;
  const std::uint64_t point = geometry_.point_of(record.key),
                      block = table_.geometry().block_of(point);
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    if (table_.slot(block, i).hash == point && table_.slot(block, i).unmerged()) return false;
  }
  for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
    if (table_.slot(block, i).hash == point) table_.slot(block, i).room_bytes = 0;
  }
  ++counters_.ended;
  return true;
}

Task<Status> Merger::read(List<Gathered>& writes, Changes& changes) {
  Status s = failure();
  for (std::size_t i = 0; s.ok() && i < writes.size(); ++i) {
    Gathered& w = writes[i];
    w.lsn = table_.slot(w.block, w.slot).lsn;
    w.published = repair_.read_intact(w.block, w.slot);
    if (!w.published) {
      Result<BlockTable::Published> p = co_await repair_.read(w.block, w.slot);
      s = p.status();
      if (!p.ok()) break;
      w.published = *std::move(p);
    }
    changes[i] = Change{w.published->view()};
  }
  co_return s;
}

void Merger::account(std::uint64_t bucket, std::size_t changes, Nanos began, const Status& merged) {
  if (merged.ok() && changes > 0) {
    ++counters_.merges;
    counters_.merged_records += changes;
    latency_.record(executor_.now() - began);
  } else if (merged.code() == Code::corrupt) {
    if (reported_.insert(bucket).second) {
      ++counters_.damaged_buckets;
      spdlog::error("{}", merged.message());
    }
  } else if (!merged.ok()) {
    stop_.fail(merged);
  }
}

// What a merge leaves of a slot: CLEAN, or DIRTY for a reason.
void Merger::conclude(const Gathered& at, const Change& change, const Status& merged) {
  WriteSlot& s = table_.slot(at.block, at.slot);
  s.merging = false;
  // Rule 7: a value that changed meanwhile stays DIRTY. One that was moved has its version still.
  const bool same = s.version == change.record.version && s.lsn == at.lsn;
  if (merged.ok() && !change.full && (same || !kept(Rule::dirty_if_changed))) {
    table_.set_clean(at.block, at.slot);
  } else if (merged.code() == Code::corrupt ||
             (change.full && s.version == change.record.version)) {
    s.stuck = true;
  }
  room_.settle(s, geometry_.home_bucket(s.hash));
}

// Room that was promised is missing only if the SSD has returned what was there earlier.
void Merger::note_room(std::uint64_t bucket, const Change& change, const Status& merged) {
  if (merged.ok() && change.freed) room_.full().clear_near(bucket);
  if (!change.full) return;
  if (counters_.roomless++ > 0) return;
  spdlog::error(
      "{} has no room for an acknowledged write near bucket {}: it stays in memory and "
      "log; delete keys, and restart the server",
      device_.name(), bucket);
}

}  // namespace scalio::server
