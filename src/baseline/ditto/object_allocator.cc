#include "baseline/ditto/object_allocator.h"

namespace scalio::ditto {

namespace {
// Free units below which the next segment is asked for: an eighth of one.
constexpr std::uint64_t kFewUnits = kSegmentSize / kUnit / 8;
// Evictions for one object. Each gives units, but they may be too few in a row, or be taken by
// another operation first.
constexpr int kMaxEvictions = 64;
}  // namespace

std::optional<std::uint64_t> ObjectAllocator::take(std::uint32_t units) {
  const std::optional<std::uint64_t> offset = pool_.take(units);
  if (pool_.free_units() < kFewUnits && !asking_ && !all_given_) ask_ahead();
  return offset;
}

Task<Result<std::uint64_t>> ObjectAllocator::allocate(std::uint32_t units) {
  for (int evictions = 0;;) {
    if (const auto offset = pool_.take(units)) co_return *offset;
    if (!all_given_) {
      const Status asked = co_await ask_for_segment();
      if (!asked.ok()) co_return asked;
      continue;
    }
    if (++evictions > kMaxEvictions) {
      co_return Status(Code::busy,
                       "what was evicted from the Ditto cache had no room for the "
                       "object");
    }
    const Result<SlotWord> evicted = co_await evictor_.evict();
    if (!evicted.ok()) co_return evicted.status();
    give(*evicted);
  }
}

// Returns when somebody has the answer.
Task<Status> ObjectAllocator::ask_for_segment() {
  if (asking_) {
    co_await answered_.wait();
    co_return Status();
  }
  asking_ = true;
  const DittoRequest request{DittoRequestKind::segment, {}};
  fabric::Call call = link_.call(request);
  const Result<Bytes> reply = co_await call;
  asking_ = false;
  answered_.wake_all();
  if (!reply.ok()) co_return reply.status();
  const std::optional<std::uint64_t> segment = decode_segment(*reply, link_.geometry);
  if (!segment) {
    co_return Status(Code::corrupt, "the Ditto cache's server gave a segment that is none");
  }
  if (*segment == 0) {
    all_given_ = true;
  } else {
    pool_.add_segment(*segment);
  }
  co_return Status();
}

Detached ObjectAllocator::ask_ahead() {
  link_.background().add();
  // Who needs the segment asks again, and is told what is wrong.
  [[maybe_unused]] const Status asked = co_await ask_for_segment();
  link_.background().done();
}

}  // namespace scalio::ditto
