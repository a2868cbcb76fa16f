#include "server/move_counts.h"

#include "fabric/region_access.h"

namespace scalio::server {

using layout::MoveCount;

MoveCounts::MoveCounts(const layout::RegionGeometry& geometry, ByteSpan region, std::uint64_t homes)
    : geometry_(geometry), region_(region), homes_(homes), words_(geometry.move_counts) {
  SCALIO_ASSERT(region.size() >= geometry.size());
}

void MoveCounts::store(std::uint64_t i, const MoveCount& count) {
  words_[i] = count.pack();
  fabric::store_word_release(at(i), words_[i]);
}

void MoveCounts::begin(std::uint64_t home) {
  if (words_.empty()) return;
  const std::uint64_t i = geometry_.move_count_of(home, homes_);
  MoveCount count = MoveCount::unpack(words_[i]);
  SCALIO_ASSERT(count.under_way < MoveCount::kMostUnderWay);
  ++count.begun;
  ++count.under_way;
  store(i, count);
  // Who sees what is written to the SSD from now on sees the count.
  fabric::full_fence();
}

void MoveCounts::end(std::uint64_t home) {
  if (words_.empty()) return;
  const std::uint64_t i = geometry_.move_count_of(home, homes_);
  MoveCount count = MoveCount::unpack(words_[i]);
  SCALIO_ASSERT(count.under_way > 0);
  --count.under_way;
  store(i, count);
}

void MoveCounts::mend(Nanos now) {
  for (std::uint64_t i = 0; i < words_.size(); ++i) {
    if (fabric::load_word_relaxed(at(i)) == words_[i]) continue;
    fabric::store_word_release(at(i), words_[i]);
    ++damaged_;
    warnings_.warn(now, fmt::format("count of moves {} was overwritten in the region by a client; "
                                    "it is put right",
                                    i));
  }
}

}  // namespace scalio::server
