#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace scalio {
namespace {

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (std::uint64_t v = 1; v <= 2000; ++v) h.record(v);
  EXPECT_EQ(h.count(), 2000u);
  EXPECT_EQ(h.min(), 1u);
  EXPECT_EQ(h.max(), 2000u);
  EXPECT_DOUBLE_EQ(h.mean(), 1000.5);
  EXPECT_EQ(h.percentile(0), 1u);
  EXPECT_EQ(h.percentile(50), 1000u);
  EXPECT_EQ(h.percentile(99), 1980u);
  EXPECT_EQ(h.percentile(99.9), 1998u);
  EXPECT_EQ(h.percentile(100), 2000u);
}

// Between two values far apart, the lower one's bucket shows its own precision.
TEST(Histogram, EveryValueIsKeptWithinItsBound) {
  std::vector<std::uint64_t> values{0, 1, 2047, 2048, 2049, 4095, 4096};
  for (unsigned bit = 12; bit < 36; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    values.insert(values.end(), {power - 1, power, power + 1, power + power / 3});
  }
  for (std::uint64_t v : values) {
    Histogram h;
    h.record(v);
    h.record(Histogram::kMaxValue);
    const std::uint64_t low = h.percentile(50);
    EXPECT_GE(low, v);
    EXPECT_LE(low - v, v / 1024) << v;
  }
}

TEST(Histogram, FewerBitsAreLessPrecise) {
  for (std::uint64_t v = 1; v < Histogram::kMaxValue / 3; v = 3 * v + 1) {
    Histogram h(4);
    h.record(v);
    h.record(Histogram::kMaxValue);
    EXPECT_GE(h.percentile(50), v);
    EXPECT_LE(h.percentile(50) - v, v / 16) << v;
  }
}

TEST(Histogram, AClearedOneIsAsNew) {
  Histogram h, other;
  h.record(7);
  h.clear();
  EXPECT_EQ(h.count(), 0u);
  h.record(1000);
  other.merge(h);
  EXPECT_EQ(other.count(), 1u);
  EXPECT_EQ(other.min(), 1000u);
  EXPECT_EQ(other.percentile(1), 1000u);
  EXPECT_DOUBLE_EQ(other.mean(), 1000);
}

TEST(Histogram, PercentilesAgreeWithSortedValues) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(11, 2);
  std::vector<std::uint64_t> values;
  Histogram h;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(std::min(static_cast<std::uint64_t>(latency(random)), Histogram::kMaxValue));
    h.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (std::size_t percent = 1; percent <= 100; ++percent) {
    const std::uint64_t exact = values[percent * values.size() / 100 - 1];
    const std::uint64_t got = h.percentile(static_cast<double>(percent));
    EXPECT_GE(got, exact) << percent;
    EXPECT_LE(got, exact + exact / 1024) << percent;
  }
  EXPECT_EQ(h.min(), values.front());
  EXPECT_EQ(h.max(), values.back());
}

TEST(Histogram, TooLongCountsAsTheMaximum) {
  Histogram h;
  h.record(Histogram::kMaxValue + 1);
  h.record(~std::uint64_t{0});
  EXPECT_EQ(h.count(), 2u);
  EXPECT_EQ(h.min(), Histogram::kMaxValue);
  EXPECT_EQ(h.max(), Histogram::kMaxValue);
  EXPECT_EQ(h.percentile(50), Histogram::kMaxValue);
}

TEST(Histogram, MergedIsAsIfRecordedTogether) {
  Histogram a, b, both;
  std::mt19937_64 random(2);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t v = random() % 1'000'000'000;
    (i % 3 == 0 ? a : b).record(v);
    both.record(v);
  }
  a.merge(b);
  a.merge(Histogram());
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
  for (double percent : {0.0, 1.0, 50.0, 99.0, 99.9, 100.0}) {
    EXPECT_EQ(a.percentile(percent), both.percentile(percent));
  }
}

TEST(HistogramDeathTest, EmptyHasNoFigures) {
  const Histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_DEATH(h.percentile(50), "count_ > 0");
  EXPECT_DEATH(h.min(), "count_ > 0");
  EXPECT_DEATH(h.max(), "count_ > 0");
  EXPECT_DEATH(h.mean(), "count_ > 0");
}

}  // namespace
}  // namespace scalio
