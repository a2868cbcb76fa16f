#include "baseline/leed/bucket_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::leed {

namespace {
// What a chunk may write: the segments that begin in it, the last of which may reach beyond.
std::uint64_t most_of(const CompactionLimits& limits) { return limits.chunk + kMaxChain - 1; }
}  // namespace

BucketLog::BucketLog(Executor& executor, block::BlockDevice& device, const LeedGeometry& geometry,
                     IoBufferPool& pool, SegmentLocks& locks, CompactionLimits limits)
    : device_(device),
      geometry_(geometry),
      pool_(pool),
      locks_(locks),
      limits_(limits),
      index_(geometry.ids),
      space_(geometry.bucket_blocks, geometry.head_unit()),
      compactor_(
          executor, space_, limits,
          [this](std::uint64_t begin, std::uint64_t end) { return compact(begin, end); },
          [this] { return index_.live(); }) {}

// What must stay free for those that come before: all chunks in flight and one passing over of the
// ring's end; as many value compactions; the removals of a chunk.
std::uint64_t BucketLog::floor(SpaceFor what) const {
  std::uint64_t blocks = limits_.parallel * most_of(limits_) + kMaxChain;
  if (what >= SpaceFor::remove) blocks += limits_.parallel * limits_.chunk;
  if (what >= SpaceFor::set) blocks += most_of(limits_);
  return blocks;
}

std::uint64_t BucketLog::least_blocks(const CompactionLimits& limits) {
  return 2 * ((limits.parallel + 1) * most_of(limits) + limits.parallel * limits.chunk + kMaxChain);
}

void BucketLog::resume(SegmentIndex index, std::uint64_t head, std::uint64_t tail) {
  index_ = std::move(index);
  space_.resume(head, tail);
  compactor_.consider();
}

Status BucketLog::full(const char* why) const {
  return Status(Code::full, fmt::format("the bucket log of {} is full: {} of {} blocks live; {}",
                                        device_.name(), index_.live(), space_.size(), why));
}

bool BucketLog::try_reserve(Reservation& r, std::uint64_t blocks, SpaceFor what) {
  const std::uint64_t more = blocks - std::min(blocks, r.blocks);
  if (!failure_.ok() || space_.free() < reserved_ + more + floor(what)) return false;
  reserved_ += more;
  r.blocks += more;
  return true;
}

Task<Status> BucketLog::reserve(Reservation& r, std::uint64_t blocks, SpaceFor what) {
  const std::uint64_t failures = compactor_.failures(), head = space_.head();
  while (!try_reserve(r, blocks, what)) {
    if (!failure_.ok()) co_return failure_;
    if (compactor_.stopped()) co_return full("the engine stops");
    if (compactor_.failures() != failures) {
      co_return full(("it cannot be compacted: " + compactor_.failure().message()).c_str());
    }
    if (index_.live() + blocks + floor(what) > space_.capacity() ||
        space_.head() - head > space_.size()) {
      co_return full("remove something");
    }
    co_await compactor_.freed();
  }
  co_return Status();
}

Status BucketLog::damaged(std::uint32_t id, std::uint64_t position) const {
  return Status(Code::corrupt, fmt::format("bucket {} at offset {} of {} is damaged", id,
                                           geometry_.bucket_at(position), device_.name()));
}

Task<Result<Segment>> BucketLog::load(std::uint32_t id) {
  const std::uint32_t length = index_.length(id);
  if (length == 0) co_return Segment();
  const std::uint64_t position = space_.position_of(index_.slot(id));
  Segment segment(pool_, length);
  Status s = co_await device_.read(geometry_.bucket_at(position), segment.bytes());
  if (!s.ok()) co_return s;
  if (!segment_intact(segment.bytes(), id, position, geometry_)) co_return damaged(id, position);
  co_return segment;
}

Task<Result<Segment>> BucketLog::read(std::uint32_t id, std::uint64_t& moved) {
  // Each time the log has gone round while a block was read: more is no accident.
  constexpr int kTries = 16;
  for (int i = 0; i < kTries; ++i) {
    const std::uint32_t length = index_.length(id);
    if (length == 0) co_return Segment();
    const std::uint64_t position = space_.position_of(index_.slot(id));
    Segment segment(pool_, length);
    Status s = co_await device_.read(geometry_.bucket_at(position), segment.bytes());
    if (position < space_.head()) {
      ++moved;
      continue;
    }
    if (!s.ok()) co_return s;
    if (!segment_intact(segment.bytes(), id, position, geometry_)) co_return damaged(id, position);
    co_return segment;
  }
  co_return Status(
      Code::busy,
      fmt::format("bucket {} of {} moves faster than it is read; try again", id, device_.name()));
}

Task<Status> BucketLog::append(Reservation& reservation, ByteSpan bytes,
                               std::span<const Piece> pieces) {
  const std::uint64_t blocks = bytes.size() / kBlock;
  SCALIO_ASSERT(blocks <= reservation.blocks);
  // From here on it is the space that knows.
  reservation.release(blocks);
  return write(bytes, pieces);
}

// In runs that do not cross the end of the ring: one, or two.
Task<Status> BucketLog::write(ByteSpan bytes, std::span<const Piece> pieces) {
  while (!pieces.empty()) {
    if (!failure_.ok()) co_return failure_;
    // If not even the first fits before the end, that is passed over.
    const std::uint64_t before_end = space_.before_end();
    const std::uint64_t room = before_end < pieces[0].blocks ? space_.size() : before_end;
    std::uint64_t blocks = 0;
    std::size_t n = 0;
    while (n < pieces.size() && blocks + pieces[n].blocks <= room) blocks += pieces[n++].blocks;
    Status s = co_await write_run(bytes.first(blocks * kBlock), pieces.first(n));
    if (!s.ok()) co_return s;
    bytes = bytes.subspan(blocks * kBlock);
    pieces = pieces.subspan(n);
  }
  co_return Status();
}

Task<Status> BucketLog::write_run(ByteSpan bytes, std::span<const Piece> pieces) {
  const std::optional<std::uint64_t> begin = space_.allocate(bytes.size() / kBlock);
  SCALIO_ASSERT(begin.has_value());  // the floors saw to it
  if (space_.tail() > kMaxPosition) {
    fail(fmt::format("the bucket log of {} has used its last position; copy the store to a new one",
                     device_.name()));
    co_return failure_;
  }
  seal(bytes, pieces, *begin);
  Status s = co_await device_.write(geometry_.bucket_at(*begin), bytes, block::Durability::stable);
  if (!s.ok()) {
    // Whether it is there after all is not known; so nothing that it may replace may be given up.
    fail(fmt::format("{} takes no writes since one failed: {}", device_.name(), s.message()));
    co_return s;
  }
  commit(bytes, pieces, *begin);
  space_.settle(*begin);
  compactor_.consider();
  co_return s;
}

void BucketLog::fail(std::string why) {
  if (failure_.ok()) failure_ = Status(Code::read_only, std::move(why));
  compactor_.stop();
}

void BucketLog::seal(ByteSpan bytes, std::span<const Piece> pieces, std::uint64_t begin) const {
  for (const Piece& piece : pieces) {
    for (std::uint32_t i = 0; i < piece.blocks; ++i) {
      seal_bucket(bytes.first(kBlock), {piece.id, piece.blocks, i, begin++, space_.head()},
                  geometry_);
      bytes = bytes.subspan(kBlock);
    }
  }
}

void BucketLog::commit(ByteView bytes, std::span<const Piece> pieces, std::uint64_t begin) {
  for (const Piece& piece : pieces) {
    const bool none = piece.blocks == 1 && bucket_empty(bytes.first(kBlock));
    index_.set(piece.id, static_cast<std::uint32_t>(begin % space_.size()),
               none ? 0 : piece.blocks);
    begin += piece.blocks;
    bytes = bytes.subspan(piece.blocks * std::size_t{kBlock});
  }
}

// --- Compaction
// -----------------------------------------------------------------------------------

Task<Status> BucketLog::compact(std::uint64_t begin, std::uint64_t end) {
  // With all of the last segment that begins in it.
  const std::uint64_t ring_end = begin + space_.size() - begin % space_.size();
  const std::uint64_t read_end = std::min({end + kMaxChain - 1, ring_end, space_.settled()});
  const auto blocks = static_cast<std::uint32_t>(read_end - begin);
  IoBuffer buffer = pool_.take(blocks);
  const ByteSpan bytes = buffer.first(blocks);
  Status s = co_await device_.read(geometry_.bucket_at(begin), bytes);
  if (!s.ok()) co_return s;
  Result<std::vector<Found>> found = find_live(bytes, begin, end);
  if (!found.ok()) co_return found.status();

  std::vector<Found> live;
  std::ranges::sort(*found, {}, [](const Found& f) { return f.piece.id; });
  for (const Found& f : *found) {
    Segment handed = co_await locks_.acquire(f.piece.id);
    if (lives(f)) {
      live.push_back(f);
    } else {
      locks_.release(f.piece.id, std::move(handed));
    }
  }
  std::ranges::sort(live, {}, &Found::position);
  co_return co_await move(bytes, begin, live);
}

// Whether the index has a segment just there.
bool BucketLog::lives(const Found& f) const {
  return index_.length(f.piece.id) == f.piece.blocks &&
         space_.position_of(index_.slot(f.piece.id)) == f.position;
}

// The segments that begin before `end` and live, as far as the index knows now.
Result<std::vector<BucketLog::Found>> BucketLog::find_live(ByteView bytes, std::uint64_t begin,
                                                           std::uint64_t end) const {
  std::vector<Found> found;
  bool all_intact = true;
  for (std::uint64_t position = begin; position < end; ++position) {
    const ByteView rest = bytes.subspan((position - begin) * kBlock);
    BucketPlace place;
    const BucketIs is = inspect_bucket(rest.first(kBlock), geometry_, place);
    all_intact = all_intact && is != BucketIs::damaged;
    // What was left of an earlier lap, where a write did not come to pass, is dead.
    if (is != BucketIs::intact || place.position != position || place.chain_index != 0) continue;
    const Found f{{place.id, place.chain_length}, position};
    if (!lives(f)) continue;
    const std::size_t size = place.chain_length * std::size_t{kBlock};
    if (size > rest.size() || !segment_intact(rest.first(size), place.id, position, geometry_)) {
      return damaged(place.id, position);
    }
    found.push_back(f);
  }
  if (all_intact) return found;
  for (std::uint32_t id = 0; id < index_.ids(); ++id) {
    if (index_.length(id) == 0) continue;
    const std::uint64_t position = space_.position_of(index_.slot(id));
    if (position < begin || position >= end) continue;
    if (!std::ranges::binary_search(found, position, {}, &Found::position)) {
      return damaged(id, position);
    }
  }
  return found;
}

// Writes these anew, whose locks are held, and lets go of them.
Task<Status> BucketLog::move(ByteSpan bytes, std::uint64_t begin, const std::vector<Found>& live) {
  std::vector<Piece> pieces;
  std::size_t size = 0;
  for (const Found& f : live) {
    const std::size_t from = (f.position - begin) * kBlock, n = f.piece.blocks * kBlock;
    if (from != size) std::memmove(bytes.data() + size, bytes.data() + from, n);
    pieces.push_back(f.piece);
    size += n;
  }
  Status s;
  if (space_.free() < reserved_ + size / kBlock + kMaxChain) {
    s = Status(Code::full, "no room is left to compact into");
  } else {
    s = co_await write(bytes.first(size), pieces);
  }
  size = 0;
  for (const Piece& piece : pieces) {
    Segment copy;
    if (s.ok() && locks_.contended(piece.id)) {
      copy = Segment(pool_, piece.blocks);
      std::memcpy(copy.bytes().data(), bytes.data() + size, piece.blocks * kBlock);
    }
    locks_.release(piece.id, std::move(copy));
    size += piece.blocks * kBlock;
  }
  co_return s;
}

}  // namespace scalio::leed
