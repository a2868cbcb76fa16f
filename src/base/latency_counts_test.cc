#include "base/latency_counts.h"

#include <gtest/gtest.h>

namespace scalio {
namespace {

TEST(LatencyCounts, EachIsInTheFirstBucketThatIsNotShorter) {
  for (std::size_t i = 0; i < LatencyCounts::kBounds; ++i) {
    const std::uint64_t bound = LatencyCounts::bound(i);
    LatencyCounts counts;
    counts.record(bound);
    EXPECT_EQ(counts.counts()[i], 1u) << bound;
    counts.record(bound + 1);
    EXPECT_EQ(counts.counts()[i + 1], 1u) << bound;
    EXPECT_EQ(counts.sum(), 2 * bound + 1);
  }
}

TEST(LatencyCounts, TheShortestAndTheLongestHaveABucketToo) {
  LatencyCounts counts;
  counts.record(0);
  counts.record(UINT64_MAX);
  EXPECT_EQ(counts.counts().front(), 1u);
  EXPECT_EQ(counts.counts().back(), 1u);
}

}  // namespace
}  // namespace scalio
