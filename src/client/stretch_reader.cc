#include "client/stretch_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "layout/rules.h"
#include "task/wait_group.h"

namespace scalio::client {

using block::Buffer;
using layout::Bucket;
using layout::BucketState;
using layout::RecordView;

namespace {
// Homes with records in other buckets that are read at once.
constexpr int kSpilledAtOnce = 16;
// Bytes of one read of a home's reach.
constexpr std::size_t kLargestRead = 128 << 10;
// Times that a home may change under its reading before that is given up; each takes a merge.
constexpr int kMaxRestarts = 100;
}  // namespace

// What is found of a home whose records lie in several buckets, the newest of each key.
struct StretchReader::Spilled {
  std::uint64_t number;  // of the home
  ByteSpan home;         // as it was read before the reach
  std::unordered_map<std::string_view, RecordView> records;
  std::vector<std::unique_ptr<Buffer>> memory;

  void add(const RecordView& record) {
    const auto [at, first] = records.try_emplace(record.key, record);
    if (!first && at->second.version < record.version) at->second = record;
  }
};

StretchReader::StretchReader(Executor& executor, BucketReader& buckets)
    : executor_(executor),
      buckets_(buckets),
      geometry_(buckets.geometry()),
      placement_(geometry_.placement()) {}

bool StretchReader::is_home(const RecordView& record, std::uint64_t number) const {
  const std::uint64_t hash = hash_key(record.key, geometry_.hash_seed);
  return geometry_.home_bucket(placement_.point_of(hash)) == number;
}

// A page of a large read: as it is, or read again by itself if it was being written.
Task<Result<BucketState>> StretchReader::settle(std::uint64_t number, ByteSpan page, bool& blank) {
  const BucketState state = Bucket(page).verify(geometry_.store_id(), number);
  if (state == BucketState::corrupt) co_return co_await buckets_.read(number, page, blank);
  blank |= state == BucketState::unwritten;
  co_return state;
}

Task<Result<Stretch>> StretchReader::read(std::uint64_t first, std::uint64_t end) {
  SCALIO_ASSERT(first < end && end <= geometry_.buckets);
  const std::uint32_t size = geometry_.bucket_size;
  Stretch out;
  const ByteSpan pages =
      out.memory.emplace_back(std::make_unique<Buffer>((end - first) * size))->span();
  Status s = co_await buckets_.device().read(geometry_.bucket_at(first), pages);
  if (!s.ok()) co_return s;
  bool blank = false;
  std::vector<std::uint64_t> spilled;
  const auto page_of = [&](std::uint64_t n) { return pages.subspan((n - first) * size, size); };
  for (std::uint64_t number = first; number < end; ++number) {
    const Result<BucketState> state = co_await settle(number, page_of(number), blank);
    if (!state.ok()) co_return state.status();
    if (*state == BucketState::unwritten) continue;
    const Bucket bucket(page_of(number));
    if (bucket.reach() > 0) {
      spilled.push_back(number);
      continue;
    }
    bucket.for_each([&](const RecordView& r) {
      if (is_home(r, number)) out.records.push_back(r);
    });
  }
  std::size_t next = 0;
  const auto work = [&]() -> Task<void> {
    while (next < spilled.size() && s.ok()) {
      const std::uint64_t number = spilled[next++];
      Status read = co_await read_spilled(number, page_of(number), out, blank);
      if (!read.ok()) s = std::move(read);
    }
  };
  WaitGroup workers(executor_);
  for (int i = 0; i < kSpilledAtOnce; ++i) workers.spawn(work());
  co_await workers.wait();
  if (s.ok()) s = co_await buckets_.confirm(blank);
  if (!s.ok()) co_return s;
  co_return out;
}

// The records of a home that has some in the next buckets. One large read may take the bucket
// behind the home before a record is moved there, and the home after it: nothing would tell. So the
// reach is read by reads that begin after the home's, and then the home again: if it is as it was,
// nothing has moved from where was yet to be read to where had been (rule 13).
Task<Status> StretchReader::read_spilled(std::uint64_t number, ByteSpan home, Stretch& out,
                                         bool& blank) {
  std::unique_ptr<Buffer> read_again;
  for (int restart = 0; restart < kMaxRestarts; ++restart) {
    Spilled found{number, home, {}, {}};
    Status s = co_await read_reach(found, blank);
    if (!s.ok()) co_return s;
    auto again = std::make_unique<Buffer>(geometry_.bucket_size);
    Result<BucketState> state = BucketState::ok;
    if (kept(Rule::home_again)) {
      state = co_await buckets_.read(number, again->span(), blank);
    } else {
      copy_bytes(found.home, again->data());
    }
    if (!state.ok()) co_return state.status();
    // It was written before: the device is another one, or a read went astray.
    if (*state == BucketState::unwritten) continue;
    const Bucket before(found.home), after(again->span());
    if (before.reach() == after.reach() && before.moves() == after.moves()) {
      after.for_each([&](const RecordView& r) {
        if (is_home(r, number)) found.add(r);
      });
      for (const auto& [key, record] : found.records) out.records.push_back(record);
      std::ranges::move(found.memory, std::back_inserter(out.memory));
      if (read_again) out.memory.push_back(std::move(read_again));
      out.memory.push_back(std::move(again));
      co_return Status();
    }
    read_again = std::move(again);
    home = read_again->span();
  }
  co_return Status(Code::timed_out, fmt::format("bucket {} of {} changed under {} reads", number,
                                                buckets_.device().name(), kMaxRestarts));
}

// What the home, as it was read, and its reach have of the home's records.
Task<Status> StretchReader::read_reach(Spilled& found, bool& blank) {
  const std::uint32_t size = geometry_.bucket_size;
  const auto add = [&](ByteSpan page) {
    Bucket(page).for_each([&](const RecordView& r) {
      if (is_home(r, found.number)) found.add(r);
    });
  };
  const std::uint32_t begin = kept(Rule::reach_later) ? 1 : 0;
  if (begin > 0) add(found.home);
  const std::uint32_t reach = Bucket(found.home).reach();
  const auto most = static_cast<std::uint32_t>(std::max<std::size_t>(kLargestRead / size, 1));
  for (std::uint32_t i = begin; i <= reach; i += most) {
    const std::uint32_t count = std::min(reach - i + 1, most);
    const ByteSpan pages =
        found.memory.emplace_back(std::make_unique<Buffer>(count * std::size_t{size}))->span();
    Status s = co_await buckets_.device().read(geometry_.bucket_at(found.number + i), pages);
    if (!s.ok()) co_return s;
    for (std::uint32_t j = 0; j < count; ++j) {
      const ByteSpan page = pages.subspan(j * std::size_t{size}, size);
      const Result<BucketState> state = co_await settle(found.number + i + j, page, blank);
      if (!state.ok()) co_return state.status();
      if (*state == BucketState::unwritten) continue;
      if (i + j == 0) found.home = page;
      add(page);
    }
  }
  co_return Status();
}

}  // namespace scalio::client
