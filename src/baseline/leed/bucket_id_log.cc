#include "baseline/leed/bucket_id_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::leed {

BucketIdLog::BucketIdLog(Executor& executor, block::BlockDevice& device,
                         const LeedGeometry& geometry, std::uint32_t blocks)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      blocks_(blocks),
      oldest_(blocks * std::size_t{kBlock}),
      before_(blocks * std::size_t{kBlock}),
      newest_(blocks * std::size_t{kBlock}),
      done_(executor) {
  std::ranges::fill(newest_.span(), std::byte{0xff});
}

std::uint64_t BucketIdLog::first_in_memory() const {
  return first_ - std::min<std::uint64_t>(first_ - start_, blocks_ * (unwritten_ ? 2u : 1u));
}

ByteSpan BucketIdLog::block_of(std::uint64_t number) {
  SCALIO_ASSERT(number >= first_in_memory() && number < first_ + blocks_);
  block::Buffer& in = number >= first_ ? newest_ : number + blocks_ >= first_ ? before_ : oldest_;
  return in.span().subspan((number - start_) % blocks_ * kBlock, kBlock);
}

// The newest is full: another takes its place.
void BucketIdLog::turn_over() {
  SCALIO_ASSERT(!unwritten_);
  std::swap(oldest_, before_);
  std::swap(before_, newest_);
  std::ranges::fill(newest_.span(), std::byte{0xff});
  unwritten_ = first_ > start_;
  first_ += blocks_;
  if (unwritten_) executor_.spawn(write_oldest());
}

Task<Status> BucketIdLog::room(std::uint64_t unit) {
  while (!has_room(unit)) {
    if (!unwritten_) {
      turn_over();
      continue;
    }
    if (!writing_) executor_.spawn(write_oldest());  // once more
    if (writing_) co_await done_.wait();
    if (!failure_.ok()) co_return failure_;
  }
  co_return Status();
}

void BucketIdLog::mark(std::uint64_t place, std::uint32_t id) {
  const std::uint64_t number = id_block_of(place);
  SCALIO_ASSERT(number + blocks_ >= first_);
  set_block_id(block_of(number), place, id);
}

Task<void> BucketIdLog::write_oldest() {
  writing_ = true;
  Status s = co_await write_blocks(oldest_, first_ - 2 * std::uint64_t{blocks_});
  writing_ = false;
  unwritten_ = !s.ok();
  failure_ = std::move(s);
  done_.wake_all();
}

// At once, but for the ring's end.
Task<Status> BucketIdLog::write_blocks(block::Buffer& from, std::uint64_t first) {
  for (std::uint64_t i = 0; i < blocks_; ++i) {
    seal_id_block(from.span().subspan(i * kBlock, kBlock), first + i, geometry_);
  }
  for (std::uint64_t i = 0; i < blocks_;) {
    const std::uint64_t to_end = geometry_.id_blocks() - (first + i) % geometry_.id_blocks();
    const std::uint64_t n = std::min(blocks_ - i, to_end);
    Status s = co_await device_.write(geometry_.id_block_at(first + i),
                                      from.span().subspan(i * kBlock, n * kBlock),
                                      block::Durability::cached);
    if (!s.ok()) co_return s;
    i += n;
    written_ += n;
  }
  co_return Status();
}

void BucketIdLog::collect(ByteView block, std::uint64_t number, std::uint64_t begin,
                          std::uint64_t end, std::vector<Mark>& out) const {
  const std::uint64_t first = number * kIdsPerBlock;
  for (std::uint64_t unit = std::max(begin, first); unit < std::min(end, first + kIdsPerBlock);
       ++unit) {
    const std::uint32_t id = block_id(block, unit);
    if (id < geometry_.ids) out.push_back({unit, id});
  }
}

Task<Result<std::vector<BucketIdLog::Mark>>> BucketIdLog::marks(std::uint64_t begin,
                                                                std::uint64_t end) {
  std::vector<Mark> found;
  const std::uint64_t last = id_block_of(end - 1);
  std::uint64_t number = id_block_of(begin);
  // What is on the SSD, by what is in memory before it is read.
  const std::uint64_t in_memory = first_in_memory();
  std::vector<Mark> from_memory;
  for (std::uint64_t n = std::max(number, in_memory); n <= last; ++n) {
    collect(block_of(n), n, begin, end, from_memory);
  }
  while (number <= last && number < in_memory) {
    const std::uint64_t to_end = geometry_.id_blocks() - number % geometry_.id_blocks();
    const std::uint64_t n = std::min({last + 1 - number, in_memory - number, to_end});
    block::Buffer buffer(n * kBlock);
    Status s = co_await device_.read(geometry_.id_block_at(number), buffer.span());
    if (!s.ok()) co_return s;
    for (std::uint64_t i = 0; i < n; ++i, ++number) {
      const ByteView block = buffer.span().subspan(i * kBlock, kBlock);
      if (!id_block_intact(block, number, geometry_)) {
        co_return Status(Code::corrupt,
                         fmt::format("block of the bucket-id log at offset {} of {} is damaged; "
                                     "a restart writes it anew",
                                     geometry_.id_block_at(number), device_.name()));
      }
      collect(block, number, begin, end, found);
    }
  }
  found.insert(found.end(), from_memory.begin(), from_memory.end());
  co_return found;
}

Task<Status> BucketIdLog::rebuild(std::uint64_t head, std::uint64_t tail,
                                  const std::vector<Mark>& marks) {
  start_ = first_ = id_block_of(head * kUnitsPerBlock);
  for (const Mark& m : marks) {
    SCALIO_ASSERT(m.place >= head * kUnitsPerBlock && m.place < tail * kUnitsPerBlock);
    Status s = co_await room(m.place);
    if (!s.ok()) co_return s;
    mark(m.place, m.id);
  }
  co_return co_await room(tail * kUnitsPerBlock);
}

Task<void> BucketIdLog::idle() {
  while (writing_) co_await done_.wait();
}

}  // namespace scalio::leed
