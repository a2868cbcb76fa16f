#include "ycsb/generators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace scalio::ycsb {
namespace {

constexpr double kTheta = 0.99;

template <class Draw>
std::vector<double> shares(std::uint64_t items, std::uint64_t draws, Draw draw) {
  std::vector<double> out(items);
  for (std::uint64_t i = 0; i < draws; ++i) out.at(draw()) += 1.0 / static_cast<double>(draws);
  return out;
}

TEST(Zeta, IsTheGeneralizedHarmonicNumber) {
  EXPECT_DOUBLE_EQ(zeta(0, 1, kTheta), 1);
  EXPECT_NEAR(zeta(0, 3, 0.5), 1 + 1 / std::sqrt(2) + 1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(zeta(0, 1000, kTheta), 7.728953217284729, 1e-9);
}

TEST(Zeta, AddsUp) {
  EXPECT_NEAR(zeta(0, 70, kTheta) + zeta(70, 1000, kTheta), zeta(0, 1000, kTheta), 1e-12);
}

// What the Java code gives.
TEST(FnvHash, IsThatOfYcsb) {
  EXPECT_EQ(fnv_hash(0), 6284781860667377211U);
  EXPECT_EQ(fnv_hash(1), 8517097267634966620U);
  EXPECT_EQ(fnv_hash(2), 1820151046732198393U);
  EXPECT_EQ(fnv_hash(12345678901), 5686546334140306951U);
}

TEST(Random, RepeatsFromItsSeed) {
  Random a(7);
  Random b(7);
  Random other(8);
  std::uint64_t first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, other.next());
  EXPECT_NE(first, a.next());
}

TEST(Random, IsUniform) {
  Random random(1);
  auto below = shares(10, 100'000, [&] { return random.below(10); });
  auto real = shares(10, 100'000, [&] { return static_cast<std::uint64_t>(random.real() * 10); });
  for (double share : below) EXPECT_NEAR(share, 0.1, 0.005);
  for (double share : real) EXPECT_NEAR(share, 0.1, 0.005);
}

TEST(Zipfian, FollowsTheLaw) {
  constexpr std::uint64_t kItems = 1000;
  for (const double theta : {0.5, kTheta, 1.01}) {
    ZipfianGenerator zipfian(kItems, theta);
    Random random(1);
    auto share = shares(kItems, 1'000'000, [&] { return zipfian.next(random); });
    const double sum = zeta(0, kItems, theta);
    // The first two are exact in Gray's method, the others an approximation.
    EXPECT_NEAR(share[0], 1 / sum, 0.002);
    EXPECT_NEAR(share[1], std::pow(2, -theta) / sum, 0.002);
    double head = 0;
    for (int i = 0; i < 100; ++i) head += share[i];
    EXPECT_NEAR(head, zeta(0, 100, theta) / sum, 0.02) << theta;
    EXPECT_GT(share[10], share[100]);
  }
}

TEST(Zipfian, ManagesVeryFewItems) {
  Random random(1);
  for (std::uint64_t items : {1, 2, 3}) {
    ZipfianGenerator zipfian(items, kTheta);
    auto share = shares(items, 10'000, [&] { return zipfian.next(random); });
    for (double s : share) EXPECT_GT(s, 0) << items << " items";
  }
}

TEST(Zipfian, GrownIsAsIfBuiltLarger) {
  ZipfianGenerator grown(10, kTheta);
  grown.grow(500);
  grown.grow(1000);
  ZipfianGenerator built(1000, kTheta);
  Random a(3);
  Random b(3);
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(grown.next(a), built.next(b));
}

TEST(ScrambledZipfian, HasThePopularityOfTenBillionItems) {
  constexpr std::uint64_t kItems = 1000;
  ScrambledZipfianGenerator scrambled(kItems, kTheta);
  Random random(1);
  auto share = shares(kItems, 1'000'000, [&] { return scrambled.next(random); });
  // The most popular item, and with it a thousandth of all the rest, which the hash spreads evenly.
  const double first = 1 / 26.46902820178302;
  EXPECT_NEAR(share[fnv_hash(0) % kItems], first + (1 - first) / kItems, 0.001);
  for (double s : share) EXPECT_GT(s, 0.0001);
}

TEST(ScrambledZipfian, HasThePopularityOfItsItemsIfToldTo) {
  constexpr std::uint64_t kItems = 1000;
  ScrambledZipfianGenerator scrambled(kItems, kTheta, ZipfianSpace::items);
  Random random(1);
  auto share = shares(kItems, 1'000'000, [&] { return scrambled.next(random); });
  EXPECT_GE(share[fnv_hash(0) % kItems], 1 / zeta(0, kItems, kTheta) - 0.002);
}

TEST(ScrambledZipfian, TakesOtherConstants) {
  constexpr std::uint64_t kItems = 1000;
  ScrambledZipfianGenerator scrambled(kItems, 0.5);
  Random random(1);
  auto share = shares(kItems, 1'000'000, [&] { return scrambled.next(random); });
  EXPECT_NEAR(share[fnv_hash(0) % kItems], 1 / zeta(0, kItems, 0.5), 0.003);
}

TEST(Latest, PrefersTheNewest) {
  LatestGenerator latest(100, kTheta);
  Random random(1);
  auto before = shares(100, 200'000, [&] { return latest.next(random, 99); });
  EXPECT_NEAR(before[99], 1 / zeta(0, 100, kTheta), 0.005);
  EXPECT_GT(before[98], before[50]);
  auto after = shares(200, 200'000, [&] { return latest.next(random, 199); });
  EXPECT_NEAR(after[199], 1 / zeta(0, 200, kTheta), 0.005);
  EXPECT_GT(after[199], after[99]);
}

}  // namespace
}  // namespace scalio::ycsb
