#include "server/recent_work.h"

#include <algorithm>
#include <utility>

namespace scalio::server {

void RecentWork::Period::clear() {
  writes.clear();
  hits = misses = 0;
}

void RecentWork::roll(Nanos now) {
  const Nanos periods = (now - std::min(now, began_)) / kPeriod;
  if (periods == 0) return;
  began_ += periods * kPeriod;
  std::swap(before_, now_);
  now_.clear();
  if (periods > 1) before_.clear();
}

void RecentWork::write_ended(Nanos now, Nanos took) {
  roll(now);
  now_.writes.record(took);
}

void RecentWork::gets_reported(Nanos now, std::uint64_t hits, std::uint64_t misses) {
  roll(now);
  now_.hits += hits;
  now_.misses += misses;
}

RecentWork::Figures RecentWork::figures(Nanos now) {
  roll(now);
  // Of a shard that has just begun: as if it were a second old, so that nothing looks fast.
  const Nanos since = began_ - std::min(began_ - start_, kPeriod);
  const Nanos time = std::max(now - std::min(now, since), kSecond);
  Figures f;
  f.seconds = static_cast<double>(time) / kSecond;
  const std::uint64_t hits = before_.hits + now_.hits, gets = hits + before_.misses + now_.misses;
  f.gets_per_second = static_cast<double>(gets) / f.seconds;
  if (gets > 0) f.hit_ratio = static_cast<double>(hits) / static_cast<double>(gets);
  Histogram writes = before_.writes;
  writes.merge(now_.writes);
  f.writes_per_second = static_cast<double>(writes.count()) / f.seconds;
  if (writes.count() > 0) f.write_latency = {writes.percentile(50), writes.percentile(99)};
  return f;
}

}  // namespace scalio::server
