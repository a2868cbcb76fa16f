#include "server/recent_work.h"

#include <gtest/gtest.h>

namespace scalio::server {
namespace {

constexpr Nanos kPeriod = RecentWork::kPeriod;

TEST(RecentWorkTest, NothingIsNothing) {
  RecentWork work(kSecond);
  const RecentWork::Figures f = work.figures(kSecond);
  EXPECT_EQ(f.gets_per_second, 0);
  EXPECT_EQ(f.writes_per_second, 0);
  EXPECT_FALSE(f.hit_ratio || f.write_latency);
}

TEST(RecentWorkTest, TellsRatesAndLatenciesOfLate) {
  const Nanos start = 5 * kSecond;
  RecentWork work(start);
  for (int i = 0; i < 99; ++i) work.write_ended(start + kSecond, 100 * kMicrosecond);
  work.write_ended(start + kSecond, 50 * kMillisecond);
  work.gets_reported(start + kSecond, 30, 10);
  const RecentWork::Figures f = work.figures(start + 4 * kSecond);
  EXPECT_DOUBLE_EQ(f.seconds, 4);
  EXPECT_DOUBLE_EQ(f.gets_per_second, 10);
  EXPECT_DOUBLE_EQ(f.writes_per_second, 25);
  EXPECT_DOUBLE_EQ(*f.hit_ratio, 0.75);
  EXPECT_GE(f.write_latency->p50, 100 * kMicrosecond);
  EXPECT_LE(f.write_latency->p99, 107 * kMicrosecond);
}

TEST(RecentWorkTest, ForgetsWhatIsTwoPeriodsOld) {
  RecentWork work(0);
  for (int i = 0; i < 60; ++i) work.write_ended(kSecond, kMillisecond);
  EXPECT_DOUBLE_EQ(work.figures(kPeriod + 5 * kSecond).writes_per_second, 4);
  work.write_ended(kPeriod + 6 * kSecond, kSecond);
  const RecentWork::Figures f = work.figures(2 * kPeriod);
  EXPECT_DOUBLE_EQ(f.writes_per_second, 0.1) << "what came in the second period is left";
  EXPECT_GE(f.write_latency->p50, kSecond);
  EXPECT_DOUBLE_EQ(work.figures(4 * kPeriod).writes_per_second, 0);
}

TEST(RecentWorkTest, OneThatHasJustBegunIsNotFast) {
  RecentWork work(kSecond);
  work.write_ended(kSecond, kMicrosecond);
  EXPECT_DOUBLE_EQ(work.figures(kSecond + kMicrosecond).writes_per_second, 1);
}

}  // namespace
}  // namespace scalio::server
