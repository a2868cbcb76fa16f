// RecentWork: what a shard and its clients have done of late, which is in the last one to two
// periods: how fast things go now, where counts since the start only tell the mean.
#pragma once

#include <cstdint>
#include <optional>

#include "base/histogram.h"
#include "task/executor.h"

namespace scalio::server {

class RecentWork {
 public:
  static constexpr Nanos kPeriod = 10 * kSecond;

  explicit RecentWork(Nanos now) : start_(now), began_(now) {}

  // A write was answered so long after it came.
  void write_ended(Nanos now, Nanos took);
  // GETs, as a client has reported them.
  void gets_reported(Nanos now, std::uint64_t hits, std::uint64_t misses);

  struct Latency {
    Nanos p50, p99;  // at most a sixteenth too large
  };
  struct Figures {
    double seconds = 0;  // that these are of
    double gets_per_second = 0;
    double writes_per_second = 0;
    std::optional<double> hit_ratio;       // nothing if there were no GETs
    std::optional<Latency> write_latency;  // nor writes
  };
  Figures figures(Nanos now);

 private:
  struct Period {
    Histogram writes{4};  // 5 KiB
    std::uint64_t hits = 0, misses = 0;
    void clear();
  };
  void roll(Nanos now);

  const Nanos start_;
  Nanos began_;  // of the present period
  Period now_, before_;
};

}  // namespace scalio::server
