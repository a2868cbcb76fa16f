#include "client/move_watch.h"

#include <algorithm>

#include "fabric/region_access.h"
#include "layout/rules.h"

namespace scalio::client {

using layout::MoveCount;

namespace {
constexpr std::size_t kWord = sizeof(std::uint64_t);
// Counts of one READ: so many are whole, each by itself.
constexpr std::uint64_t kAtOnce = fabric::kWholeWords / kWord;
}  // namespace

MoveWatch::MoveWatch(const ShardConnection& link, std::uint64_t first, std::uint64_t end,
                     ClientCounters& counters)
    : link_(link), region_(link.hello.region), homes_(link.hello.ssd.buckets), counters_(counters) {
  if (region_.move_counts == 0) return;
  first_ = region_.move_count_of(first, homes_);
  end_ = region_.move_count_of(end - 1, homes_) + 1;
}

Task<void> MoveWatch::begin() { before_ = co_await read(); }

Task<void> MoveWatch::look_again() {
  after_ = before_;
  if (kept(Rule::counts_again)) after_ = co_await read();
}

Task<MoveWatch::Counts> MoveWatch::read() {
  Bytes words((end_ - first_) * kWord);
  for (std::uint64_t i = first_; i < end_; i += kAtOnce) {
    const ByteSpan part =
        ByteSpan(words).subspan((i - first_) * kWord, std::min(kAtOnce, end_ - i) * kWord);
    ++counters_.region_reads;
    counters_.region_bytes_read += part.size();
    if (co_await link_.connection->read(region_.move_count_at(i), part) != Code::ok)
      co_return Counts();
  }
  Counts counts;
  counts.reserve(end_ - first_);
  for (std::size_t at = 0; at < words.size(); at += kWord)
    counts.push_back(MoveCount::unpack(load<std::uint64_t>(words.data() + at)));
  co_return counts;
}

std::size_t MoveWatch::place_of(std::uint64_t home) const {
  return region_.move_count_of(home, homes_) - first_;
}

bool MoveWatch::began_still(std::uint64_t home) const {
  return !before_.empty() && before_[place_of(home)].under_way == 0;
}

bool MoveWatch::stayed_still(std::uint64_t home) const {
  return began_still(home) && !after_.empty() &&
         before_[place_of(home)].begun == after_[place_of(home)].begun;
}

}  // namespace scalio::client
