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
// Bytes of one read of what is behind a home.
constexpr std::size_t kSmallRead = 128 << 10;
// Times that a home may change under its reading before that is given up; each takes a merge.
constexpr int kMaxRestarts = 100;
}  // namespace

// Adjacent buckets as they were read, each intact; one that was never written is an empty one.
struct StretchReader::Pages {
  std::uint64_t first;  // bucket
  std::vector<ByteSpan> each = {};
  Memory memory = {};

  std::uint64_t end() const { return first + each.size(); }
  ByteSpan of(std::uint64_t bucket) const { return each[bucket - first]; }
};

// What is found of a home whose records lie in several buckets, the newest of each key.
struct StretchReader::Spilled {
  std::uint64_t number;  // of the home
  ByteSpan home;         // as it was read before the reach
  std::unordered_map<std::string_view, RecordView> records = {};
  Memory memory = {};

  void add(const RecordView& record) {
    const auto [at, first] = records.try_emplace(record.key, record);
    if (!first && at->second.version < record.version) at->second = record;
  }
  void give(Stretch& out) {
    for (const auto& [key, record] : records) out.records.push_back(record);
    std::ranges::move(memory, std::back_inserter(out.memory));
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

std::uint64_t StretchReader::small_read() const {
  return std::max<std::uint64_t>(kSmallRead / geometry_.bucket_size, 1);
}

// A page of a large read: as it is, or read again by itself if it was being written.
Task<Status> StretchReader::settle(std::uint64_t number, ByteSpan page, bool& blank) {
  BucketState state = Bucket(page).verify(geometry_.store_id(), number);
  if (state == BucketState::corrupt) {
    const Result<BucketState> again = co_await buckets_.read(number, page, blank);
    if (!again.ok()) co_return again.status();
    state = *again;
  }
  if (state == BucketState::unwritten) {
    blank = true;
    Bucket(page).clear(geometry_.store_id());
  }
  co_return Status();
}

// Those that come next, up to `end`, by reads of so many.
Task<Status> StretchReader::read_pages(Pages& pages, std::uint64_t end, std::uint64_t at_once,
                                       bool& blank) {
  const std::uint32_t size = geometry_.bucket_size;
  while (pages.end() < end) {
    const std::uint64_t first = pages.end(), count = std::min(end - first, at_once);
    const ByteSpan read = pages.memory.emplace_back(std::make_unique<Buffer>(count * size))->span();
    Status s = co_await buckets_.device().read(geometry_.bucket_at(first), read);
    for (std::uint64_t i = 0; s.ok() && i < count; ++i) {
      const ByteSpan page = read.subspan(i * size, size);
      s = co_await settle(first + i, page, blank);
      pages.each.push_back(page);
    }
    if (!s.ok()) co_return s;
  }
  co_return Status();
}

Task<Result<Stretch>> StretchReader::read(std::uint64_t first, std::uint64_t end,
                                          MoveWatch* moves) {
  SCALIO_ASSERT(first < end && end <= geometry_.buckets);
  Stretch out;
  Pages pages{first};
  bool blank = false;
  Status s = co_await read_pages(pages, end, end - first, blank);
  if (!s.ok()) co_return s;
  std::vector<std::uint64_t> spilled;
  for (std::uint64_t number = first; number < end; ++number) {
    const Bucket bucket(pages.of(number));
    if (bucket.reach() > 0) {
      spilled.push_back(number);
      continue;
    }
    bucket.for_each([&](const RecordView& r) {
      if (is_home(r, number)) out.records.push_back(r);
    });
  }
  if (moves != nullptr) s = co_await take_still(spilled, pages, *moves, out, blank);
  out.read_again = spilled.size();
  std::size_t next = 0;
  const auto work = [&]() -> Task<void> {
    while (next < spilled.size() && s.ok()) {
      const std::uint64_t number = spilled[next++];
      Status read = co_await read_spilled(number, pages.of(number), out, blank);
      if (!read.ok()) s = std::move(read);
    }
  };
  WaitGroup workers(executor_);
  for (int i = 0; i < kSpilledAtOnce; ++i) workers.spawn(work());
  co_await workers.wait();
  std::ranges::move(pages.memory, std::back_inserter(out.memory));
  if (s.ok()) s = co_await buckets_.confirm(blank);
  if (!s.ok()) co_return s;
  co_return out;
}

// Takes homes of which no record was moved since before the read began: then it does not matter of
// which moments their buckets are (rule 13). What lies behind the last bucket that was read is read
// now, and the counts after it. The others stay in `spilled`.
Task<Status> StretchReader::take_still(std::vector<std::uint64_t>& spilled, Pages& pages,
                                       MoveWatch& moves, Stretch& out, bool& blank) {
  const auto end_of = [&](std::uint64_t home) { return home + Bucket(pages.of(home)).reach() + 1; };
  std::uint64_t end = 0;
  for (const std::uint64_t home : spilled) {
    if (moves.began_still(home)) end = std::max(end, end_of(home));
  }
  if (end == 0) co_return Status();
  Status s = co_await read_pages(pages, end, small_read(), blank);
  if (!s.ok()) co_return s;
  co_await moves.look_again();
  std::erase_if(spilled, [&](std::uint64_t home) {
    if (!moves.stayed_still(home)) return false;
    Spilled found{home, pages.of(home)};
    for (std::uint64_t bucket = home; bucket < end_of(home); ++bucket) add(found, pages.of(bucket));
    found.give(out);
    ++out.taken_at_once;
    return true;
  });
  co_return Status();
}

void StretchReader::add(Spilled& found, ByteSpan page) const {
  Bucket(page).for_each([&](const RecordView& r) {
    if (is_home(r, found.number)) found.add(r);
  });
}

// The records of a home that has some in the next buckets. One large read may take the bucket
// behind the home before a record is moved there, and the home after it: nothing would tell. So the
// reach is read by reads that begin after the home's, and then the home again: if it is as it was,
// nothing has moved from where was yet to be read to where had been (rule 13).
Task<Status> StretchReader::read_spilled(std::uint64_t number, ByteSpan home, Stretch& out,
                                         bool& blank) {
  std::unique_ptr<Buffer> read_again;
  for (int restart = 0; restart < kMaxRestarts; ++restart) {
    Spilled found{number, home};
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
      add(found, again->span());
      found.give(out);
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
  const std::uint32_t begin = kept(Rule::reach_later) ? 1 : 0;
  if (begin > 0) add(found, found.home);
  Pages pages{found.number + begin};
  Status s = co_await read_pages(pages, found.number + Bucket(found.home).reach() + 1, small_read(),
                                 blank);
  if (!s.ok()) co_return s;
  if (begin == 0) found.home = pages.of(found.number);
  for (const ByteSpan page : pages.each) add(found, page);
  found.memory = std::move(pages.memory);
  co_return s;
}

}  // namespace scalio::client
