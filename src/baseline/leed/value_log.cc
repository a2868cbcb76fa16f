#include "baseline/leed/value_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "task/wait_group.h"

namespace scalio::leed {

namespace {
constexpr std::uint64_t kMostValueBlocks = blocks_of(kMaxValue);

// What a chunk may write: the values that begin in it, the last of which may reach beyond.
std::uint64_t most_of(const CompactionLimits& limits) { return limits.chunk + kMostValueBlocks; }
}  // namespace

ValueLog::ValueLog(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
                   IoBufferPool& pool, SegmentLocks& locks, BucketLog& buckets,
                   CompactionLimits limits, std::uint32_t id_blocks)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      pool_(pool),
      locks_(locks),
      buckets_(buckets),
      limits_(limits),
      space_(geometry.value_blocks, 0),
      ids_(executor, device, geometry, id_blocks),
      compactor_(
          executor, space_, limits,
          [this](std::uint64_t begin, std::uint64_t end) { return compact(begin, end); },
          [this] { return live_blocks(); }) {}

// What must stay free for compaction: all chunks in flight, and one passing over of the ring's end.
std::uint64_t ValueLog::floor() const { return (limits_.parallel + 1) * most_of(limits_); }

std::uint64_t ValueLog::least_blocks(const CompactionLimits& limits) {
  return 2 * (limits.parallel + 1) * most_of(limits);
}

std::uint64_t ValueLog::least_id_blocks(const CompactionLimits& limits) {
  // A chunk's marks, and the end of the ring passed over before them.
  return id_block_of(2 * most_of(limits) * kUnitsPerBlock) + 2;
}

Task<Status> ValueLog::resume(std::uint64_t head, std::uint64_t tail, std::uint64_t live_units,
                              const std::vector<BucketIdLog::Mark>& marks) {
  space_.resume(head, tail);
  live_units_ = live_units;
  co_return co_await ids_.rebuild(head, tail, marks);
}

Status ValueLog::full(const std::string& why) const {
  return Status(Code::full, fmt::format("the value log of {} is full: {} of {} blocks live; {}",
                                        device_.name(), live_blocks(), space_.size(), why));
}

Task<Result<std::uint64_t>> ValueLog::allocate(std::uint32_t value_length, std::uint32_t id) {
  const std::uint32_t blocks = blocks_of(value_length);
  const std::uint64_t failures = compactor_.failures(), head = space_.head();
  for (;;) {
    const std::uint64_t skip = space_.before_end() < blocks ? space_.before_end() : 0;
    if (space_.free() >= skip + blocks + floor()) {
      const std::uint64_t first = (space_.tail() + skip) * kUnitsPerBlock;
      if (first >= kMaxPosition) co_return full("it has used its last position");
      if (ids_.has_room(first)) break;
      Status s = co_await ids_.room(first);
      if (!s.ok()) co_return s;
      continue;
    }
    if (compactor_.stopped()) co_return full("the engine stops");
    if (compactor_.failures() != failures) {
      co_return full("it cannot be compacted: " + compactor_.failure().message());
    }
    if (live_blocks() + blocks + floor() > space_.capacity() ||
        space_.head() - head > space_.size()) {
      co_return full("remove something");
    }
    co_await compactor_.freed();
  }
  const std::uint64_t block = *space_.allocate(blocks);
  ids_.mark(block * kUnitsPerBlock, id);
  compactor_.consider();
  co_return block;
}

void ValueLog::settle(std::uint64_t block) {
  space_.settle(block);
  compactor_.consider();
}

bool ValueLog::plausible(const BucketItem& item, std::uint64_t head) const {
  if (item.value_length > kMaxValue) return false;
  const std::uint64_t end = item.place + units_of(item.value_length);
  if (item.place < head * kUnitsPerBlock || end > space_.tail() * kUnitsPerBlock) return false;
  const std::uint64_t lap = space_.size() * kUnitsPerBlock;
  return item.place % lap + units_of(item.value_length) <= lap;
}

Task<Result<std::optional<std::string>>> ValueLog::read(std::uint64_t place, std::uint32_t length) {
  const std::uint64_t block = place / kUnitsPerBlock;
  const std::uint32_t offset = place % kUnitsPerBlock * kUnit;
  const std::uint32_t blocks = std::max(1u, (offset + length + kBlock - 1) / kBlock);
  IoBuffer buffer = pool_.take(blocks);
  Status s = co_await device_.read(geometry_.value_at(block), buffer.first(blocks));
  if (block < space_.head()) co_return std::optional<std::string>();
  if (!s.ok()) co_return s;
  const ByteView value = buffer.first(blocks).subspan(offset, length);
  co_return std::optional<std::string>(as_string(value));
}

// --- Compaction
// -----------------------------------------------------------------------------------

Task<Status> ValueLog::compact(std::uint64_t begin, std::uint64_t end) {
  Result<std::vector<BucketIdLog::Mark>> found =
      co_await ids_.marks(begin * kUnitsPerBlock, end * kUnitsPerBlock);
  if (!found.ok()) co_return found.status();
  if (found->empty()) co_return Status();
  std::ranges::stable_sort(*found, {}, &BucketIdLog::Mark::id);

  const auto blocks = static_cast<std::uint32_t>(end - begin);
  IoBuffer buffer = pool_.take(blocks + kMostValueBlocks);
  Status s = co_await device_.read(geometry_.value_at(begin), buffer.first(blocks));
  Marks rest = *found;
  while (s.ok() && !rest.empty()) {
    const Marks batch = next_batch(rest);
    s = co_await compact_batch(buffer.first(blocks + kMostValueBlocks), begin, end, batch);
    rest = rest.subspan(batch.size());
  }
  co_return s;
}

// The marks of the first ids, whose buckets may be written at once.
ValueLog::Marks ValueLog::next_batch(Marks marks) const {
  std::size_t n = 0;
  for (std::uint64_t blocks = 0; n < marks.size(); ++n) {
    if (n > 0 && marks[n].id == marks[n - 1].id) continue;
    blocks += buckets_.index().length(marks[n].id);
    if (n > 0 && blocks > buckets_.batch_blocks()) break;
  }
  return marks.first(n);
}

// The most that these may be now.
std::uint64_t ValueLog::buckets_of(Marks marks) const {
  std::uint64_t blocks = 0;
  for (std::size_t n = 0; n < marks.size(); ++n) {
    if (n == 0 || marks[n].id != marks[n - 1].id) blocks += buckets_.index().length(marks[n].id);
  }
  return blocks;
}

Task<Status> ValueLog::compact_batch(ByteSpan chunk, std::uint64_t begin, std::uint64_t end,
                                     Marks marks) {
  BucketLog::Reservation reservation(buckets_);
  Status s = co_await buckets_.reserve(reservation, buckets_of(marks), SpaceFor::value_compaction);
  if (!s.ok()) co_return s;
  Batch batch;
  s = co_await lock(batch, marks);
  if (s.ok()) {
    find_live(batch, marks);
    s = co_await read_beyond(batch, chunk, begin, end);
  }
  // Segments may have grown until their locks were held.
  const std::uint64_t blocks = blocks_to_move(batch);
  if (s.ok() && (blocks > IoBufferPool::kMostBlocks ||
                 !buckets_.try_reserve(reservation, blocks, SpaceFor::value_compaction))) {
    s = Status(Code::busy, "buckets grew while they were compacted");
  }
  const bool untouched = !s.ok() || batch.live.empty();
  if (!untouched) s = co_await move(reservation, batch, chunk, begin);
  release(batch, untouched || s.ok());
  co_return s;
}

std::uint64_t ValueLog::blocks_to_move(const Batch& batch) {
  std::uint64_t blocks = 0;
  for (const Entry& e : batch.entries) blocks += e.moves ? e.segment.blocks() : 0;
  return blocks;
}

// All locks first, then all reads at once.
Task<Status> ValueLog::lock(Batch& batch, Marks marks) {
  for (std::size_t n = 0; n < marks.size(); ++n) {
    if (n > 0 && marks[n].id == marks[n - 1].id) continue;
    Segment handed = co_await locks_.acquire(marks[n].id);
    batch.entries.emplace_back(marks[n].id, std::move(handed));
  }
  WaitGroup loading(executor_);
  for (Entry& e : batch.entries) {
    if (e.segment.absent()) loading.spawn(load(e));
  }
  co_await loading.wait();
  for (Entry& e : batch.entries) {
    if (!e.loaded.ok()) co_return e.loaded;
  }
  co_return Status();
}

Task<void> ValueLog::load(Entry& entry) {
  Result<Segment> segment = co_await buckets_.load(entry.id);
  entry.loaded = segment.status();
  if (segment.ok()) entry.segment = *std::move(segment);
}

// A value lives if its bucket has an item that points to it.
void ValueLog::find_live(Batch& batch, Marks marks) {
  std::size_t n = 0;
  for (std::size_t e = 0; e < batch.entries.size(); ++e) {
    Entry& entry = batch.entries[e];
    const std::size_t first = n;
    while (n < marks.size() && marks[n].id == entry.id) ++n;
    const Marks of_entry = marks.subspan(first, n - first);
    for (std::uint32_t i = 0; i < entry.segment.blocks() * kBucketItems; ++i) {
      const BucketItem item = entry.segment.item(i);
      if (item.key.empty() || !plausible(item, space_.head())) continue;
      if (!std::ranges::binary_search(of_entry, item.place, {}, &BucketIdLog::Mark::place))
        continue;
      batch.live.push_back({e, i, item.place, item.value_length});
      entry.moves = true;
    }
  }
  std::ranges::sort(batch.live, {}, &Live::place);
}

void ValueLog::release(Batch& batch, bool clean) {
  for (Entry& e : batch.entries) {
    const bool as_on_ssd = e.loaded.ok() && (clean || !e.moves);
    locks_.release(e.id, as_on_ssd ? std::move(e.segment) : Segment());
  }
}

// The last value may reach beyond the chunk.
Task<Status> ValueLog::read_beyond(const Batch& batch, ByteSpan chunk, std::uint64_t begin,
                                   std::uint64_t end) {
  if (batch.live.empty()) co_return Status();
  const Live& last = batch.live.back();
  const std::uint64_t last_end =
      (last.place + units_of(last.length) + kUnitsPerBlock - 1) / kUnitsPerBlock;
  if (last_end <= end) co_return Status();
  co_return co_await device_.read(geometry_.value_at(end),
                                  chunk.subspan((end - begin) * kBlock, (last_end - end) * kBlock));
}

// Blocks at the tail, all of whose units can be marked.
Task<Result<std::uint64_t>> ValueLog::place(std::uint32_t blocks) {
  for (;;) {
    const std::uint64_t skip = space_.before_end() < blocks ? space_.before_end() : 0;
    if (space_.free() < skip + blocks) {
      co_return Status(Code::full, "no room is left to compact into");
    }
    const std::uint64_t last = (space_.tail() + skip + blocks) * kUnitsPerBlock - 1;
    if (last >= kMaxPosition) co_return full("it has used its last position");
    if (ids_.has_room(last)) co_return *space_.allocate(blocks);
    Status s = co_await ids_.room(last);
    if (!s.ok()) co_return s;
  }
}

// Packs what lives and writes it, and then the buckets that have it. In this order: a bucket whose
// value is not there would hide the one before it.
Task<Status> ValueLog::move(BucketLog::Reservation& reservation, Batch& batch, ByteSpan chunk,
                            std::uint64_t begin) {
  std::uint64_t units = 0;
  for (const Live& live : batch.live) units += units_of(live.length);
  const auto blocks = static_cast<std::uint32_t>((units + 1) / kUnitsPerBlock);
  if (blocks > most_of(limits_)) {
    co_return Status(Code::corrupt, fmt::format("values at offset {} of {} overlap",
                                                geometry_.value_at(begin), device_.name()));
  }
  IoBuffer packed = pool_.take(blocks);
  Result<std::uint64_t> to = co_await place(blocks);
  if (!to.ok()) co_return to.status();
  std::uint64_t unit = *to * kUnitsPerBlock;
  for (const Live& live : batch.live) {
    Entry& entry = batch.entries[live.entry];
    std::memcpy(packed.first(blocks).data() + (unit - *to * kUnitsPerBlock) * kUnit,
                chunk.data() + (live.place - begin * kUnitsPerBlock) * kUnit, live.length);
    entry.segment.set_value(live.item, live.length, unit);
    ids_.mark(unit, entry.id);
    unit += units_of(live.length);
  }
  Status s = co_await write(*to, packed.first(blocks));
  if (s.ok()) s = co_await append(reservation, batch);
  settle(*to);
  co_return s;
}

Task<Status> ValueLog::append(BucketLog::Reservation& reservation, Batch& batch) {
  std::vector<BucketLog::Piece> pieces;
  std::uint32_t blocks = 0;
  for (Entry& e : batch.entries) {
    if (!e.moves) continue;
    pieces.push_back({e.id, e.segment.blocks()});
    blocks += e.segment.blocks();
  }
  IoBuffer buffer = pool_.take(blocks);
  std::uint32_t at = 0;
  for (Entry& e : batch.entries) {
    if (!e.moves) continue;
    copy_bytes(e.segment.bytes(), buffer.block(at).data());
    at += e.segment.blocks();
  }
  co_return co_await buckets_.append(reservation, buffer.first(blocks), pieces);
}

}  // namespace scalio::leed
