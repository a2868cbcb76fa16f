#include "baseline/leed/leed_engine.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::leed {

LeedOptions LeedOptions::for_store(const LeedGeometry& g) {
  LeedOptions o;
  while (BucketLog::least_blocks(o.bucket_compaction) > g.bucket_blocks &&
         (o.bucket_compaction.chunk > 16 || o.bucket_compaction.parallel > 1)) {
    auto& limits = o.bucket_compaction;
    limits.chunk = std::max<std::uint64_t>(16, limits.chunk / 2);
    if (limits.chunk <= 64) limits.parallel = std::max(1u, limits.parallel / 2);
  }
  while (ValueLog::least_blocks(o.value_compaction) > g.value_blocks &&
         (o.value_compaction.chunk > 16 || o.value_compaction.parallel > 1)) {
    auto& limits = o.value_compaction;
    limits.chunk = std::max<std::uint64_t>(16, limits.chunk / 2);
    if (limits.chunk <= 64) limits.parallel = std::max(1u, limits.parallel / 2);
  }
  o.bucket_compaction.start =
      std::min<std::uint64_t>(o.bucket_compaction.start, g.bucket_blocks / 2);
  o.value_compaction.start = std::min(o.value_compaction.start, g.value_blocks / 2);
  return o;
}

LeedCounters& LeedCounters::operator+=(const LeedCounters& o) {
  gets += o.gets;
  sets += o.sets;
  removes += o.removes;
  moved += o.moved;
  handed_on += o.handed_on;
  bucket_chunks += o.bucket_chunks;
  value_chunks += o.value_chunks;
  waiting += o.waiting;
  return *this;
}

LeedEngine::LeedEngine(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
                       const LeedOptions& options)
    : geometry_(geometry),
      hand_on_written_(options.hand_on_written),
      gate_(executor, options.tokens, options.most_waiting),
      locks_(executor),
      buckets_(executor, device, geometry_, pool_, locks_, options.bucket_compaction),
      values_(executor, device, geometry_, pool_, locks_, buckets_, options.value_compaction,
              options.id_blocks) {}

Status LeedEngine::check(const LeedGeometry& g, const LeedOptions& o) {
  const auto too_small = [](const char* log, std::uint64_t blocks, std::uint64_t least) {
    return Status(Code::invalid,
                  fmt::format("a {} log of {} blocks is too small to be compacted so; it needs {}",
                              log, blocks, least));
  };
  const std::uint64_t buckets = BucketLog::least_blocks(o.bucket_compaction);
  if (g.bucket_blocks < buckets) return too_small("bucket", g.bucket_blocks, buckets);
  const std::uint64_t values = ValueLog::least_blocks(o.value_compaction);
  if (g.value_blocks < values) return too_small("value", g.value_blocks, values);
  for (const CompactionLimits& limits : {o.bucket_compaction, o.value_compaction}) {
    if (limits.chunk == 0 || limits.chunk > 512 || limits.parallel == 0) {
      return Status(Code::invalid, "a chunk of a log has 1 to 512 blocks, and one is compacted");
    }
  }
  if (o.id_blocks < ValueLog::least_id_blocks(o.value_compaction) || o.id_blocks > 65'536) {
    return Status(Code::invalid, "of the bucket-id log too few or too many blocks are written");
  }
  if (o.tokens < kSetTokens) return Status(Code::invalid, "a set needs 8 tokens");
  return Status();
}

Task<Result<std::unique_ptr<LeedEngine>>> LeedEngine::open(Executor& executor,
                                                           block::BlockDevice& device,
                                                           std::optional<LeedOptions> options) {
  Result<LeedGeometry> geometry = co_await read_geometry(device);
  if (!geometry.ok()) co_return geometry.status();
  Result<Recovered> found = co_await recover(device, *geometry);
  if (!found.ok()) co_return found.status();
  co_return co_await resume(executor, device, *geometry, *std::move(found), options);
}

Task<Result<std::unique_ptr<LeedEngine>>> LeedEngine::resume(Executor& executor,
                                                             block::BlockDevice& device,
                                                             LeedGeometry geometry, Recovered found,
                                                             std::optional<LeedOptions> options) {
  if (!options) options = LeedOptions::for_store(geometry);
  Status s = check(geometry, *options);
  if (!s.ok()) co_return s;
  std::unique_ptr<LeedEngine> engine(new LeedEngine(executor, device, geometry, *options));
  // The values first: compaction of buckets needs nothing of them.
  s = co_await engine->values_.resume(found.value_head, found.value_tail, found.live_units,
                                      found.values);
  if (!s.ok()) {
    co_await engine->stop();
    co_return s;
  }
  engine->buckets_.resume(std::move(found.index), found.bucket_head, found.bucket_tail);
  co_return engine;
}

Task<void> LeedEngine::stop() {
  values_.compactor().stop();
  buckets_.compactor().stop();
  co_await values_.compactor().idle();
  co_await buckets_.compactor().idle();
  co_await values_.ids().idle();
}

Status LeedEngine::check(std::string_view key, std::size_t value_size) {
  if (key.empty()) return Status(Code::invalid, "a key has at least one byte");
  if (key.size() > kMaxKey) {
    return Status(Code::too_large,
                  fmt::format("a key has {} bytes; {} are the most", key.size(), kMaxKey));
  }
  if (value_size > kMaxValue) {
    return Status(Code::too_large,
                  fmt::format("a value has {} bytes; {} are the most", value_size, kMaxValue));
  }
  return Status();
}

Status LeedEngine::too_many_wait() {
  return Status(Code::busy, "too many operations wait for the SSD; try again");
}

// --- GET
// ------------------------------------------------------------------------------------------

Task<Result<std::optional<std::string>>> LeedEngine::get(std::string_view key) {
  Status s = check(key, 0);
  if (!s.ok()) co_return s;
  if (!co_await gate_.enter(kGetTokens)) co_return too_many_wait();
  ++counters_.gets;
  Result<std::optional<std::string>> value = co_await find(key);
  gate_.leave(kGetTokens);
  co_return value;
}

// Without a lock: what it reads is what was there when the index was asked, or it is read again.
Task<Result<std::optional<std::string>>> LeedEngine::find(std::string_view key) {
  constexpr int kTries = 16;  // more is no accident
  const std::uint32_t id = geometry_.id_of(key);
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t head = values_.space().head();
    Result<Segment> segment = co_await buckets_.read(id, counters_.moved);
    if (!segment.ok()) co_return segment.status();
    const std::optional<std::uint32_t> at = segment->find(key);
    if (!at) co_return std::optional<std::string>();
    const BucketItem item = segment->item(*at);
    if (!values_.plausible(item, head)) {
      co_return Status(Code::corrupt, fmt::format("bucket {} points beyond the value log", id));
    }
    Result<std::optional<std::string>> value = co_await values_.read(item.place, item.value_length);
    if (!value.ok() || value->has_value()) co_return value;
    ++counters_.moved;
  }
  co_return Status(Code::busy, "the value moves faster than it is read; try again");
}

// --- SET and removal
// ------------------------------------------------------------------------------

Task<Status> LeedEngine::set(std::string_view key, std::string_view value) {
  Status s = check(key, value.size());
  if (!s.ok()) co_return s;
  if (!co_await gate_.enter(kSetTokens)) co_return too_many_wait();
  ++counters_.sets;
  s = co_await put(key, value);
  gate_.leave(kSetTokens);
  co_return s;
}

Task<Status> LeedEngine::remove(std::string_view key) {
  Status s = check(key, 0);
  if (!s.ok()) co_return s;
  if (!co_await gate_.enter(kRemoveTokens)) co_return too_many_wait();
  ++counters_.removes;
  s = co_await erase(key);
  gate_.leave(kRemoveTokens);
  co_return s;
}

Task<Status> LeedEngine::put(std::string_view key, std::string_view value) {
  const std::uint32_t id = geometry_.id_of(key);
  BucketLog::Reservation reservation(buckets_);
  // One more than there are: the segment may grow.
  Status s = co_await buckets_.reserve(reservation, buckets_.index().length(id) + 1, SpaceFor::set);
  if (!s.ok()) co_return s;
  const auto length = static_cast<std::uint32_t>(value.size());
  Result<std::uint64_t> block = co_await values_.allocate(length, id);
  if (!block.ok()) co_return block.status();

  IoBuffer buffer = pool_.take(blocks_of(length));
  const ByteSpan bytes = buffer.first(blocks_of(length));
  copy_bytes(as_bytes(value), bytes.data());
  std::ranges::fill(bytes.subspan(length), std::byte{0});
  block::Io writing = values_.write(*block, bytes);
  Update change{key, id, SpaceFor::set};
  change.item = {key, length, *block * kUnitsPerBlock};
  change.value = &writing;
  s = co_await update(reservation, change);
  values_.settle(*block);
  co_return s;
}

Task<Status> LeedEngine::erase(std::string_view key) {
  const std::uint32_t id = geometry_.id_of(key);
  BucketLog::Reservation reservation(buckets_);
  Status s = co_await buckets_.reserve(reservation, std::max(1u, buckets_.index().length(id)),
                                       SpaceFor::remove);
  if (!s.ok()) co_return s;
  co_return co_await update(reservation, Update{key, id, SpaceFor::remove});
}

// Reads the bucket beside the value's write, and then writes it: were it on the SSD before its
// value, a power cut could leave it there alone, and the value before it would be lost.
Task<Status> LeedEngine::update(BucketLog::Reservation& reservation, Update u) {
  for (;;) {
    Segment segment = co_await locks_.acquire(u.id);
    Status s;
    if (segment.absent()) {
      Result<Segment> loaded = co_await buckets_.load(u.id);
      s = loaded.status();
      if (loaded.ok()) segment = *std::move(loaded);
    }
    if (u.value != nullptr) {
      block::Io& writing = *std::exchange(u.value, nullptr);
      Status written = co_await writing;
      if (s.ok()) s = std::move(written);
    }
    if (s.ok()) s = apply(u, segment);
    if (!s.ok()) {  // nothing was changed
      locks_.release(u.id, std::move(segment));
      co_return s;
    }
    if (buckets_.try_reserve(reservation, segment.blocks(), u.what)) {
      const BucketLog::Piece piece{u.id, segment.blocks()};
      s = co_await buckets_.append(reservation, segment.bytes(), std::span(&piece, 1));
      if (s.ok() && u.had_value) values_.count_dead(u.dead);
      if (s.ok() && u.what == SpaceFor::set) values_.count_live(u.item.value_length);
      locks_.release(u.id, s.ok() && hand_on_written_ ? std::move(segment) : Segment());
      co_return s;
    }
    // It has grown since; who waits for space may hold no lock.
    const std::uint32_t blocks = segment.blocks();
    locks_.release(u.id, Segment());
    s = co_await buckets_.reserve(reservation, blocks + 1, u.what);
    if (!s.ok()) co_return s;
  }
}

Status LeedEngine::apply(Update& u, Segment& segment) {
  const std::optional<std::uint32_t> at = segment.absent() ? std::nullopt : segment.find(u.key);
  u.had_value = at.has_value();
  if (at) u.dead = segment.item(*at).value_length;
  if (u.what == SpaceFor::remove) {
    if (!at) return Status(Code::not_found, "the key has no value");
    segment.erase(*at);
    return Status();
  }
  if (segment.absent()) segment.start(pool_);
  if (at) {
    segment.set_value(*at, u.item.value_length, u.item.place);
  } else if (!segment.add(pool_, u.item)) {
    return Status(Code::full, fmt::format("bucket {} has {} blocks already; format the store for "
                                          "more records",
                                          u.id, kMaxChain));
  }
  return Status();
}

LeedCounters LeedEngine::counters() const {
  LeedCounters c = counters_;
  c.handed_on = locks_.handed_on();
  c.bucket_chunks = buckets_.compactor().chunks();
  c.value_chunks = values_.compactor().chunks();
  c.waiting = gate_.waiting();
  return c;
}

}  // namespace scalio::leed
