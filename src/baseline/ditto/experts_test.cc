#include "baseline/ditto/experts.h"

#include <gtest/gtest.h>

#include <cmath>

namespace scalio::ditto {
namespace {

constexpr std::uint8_t kLruBit = 1U << kLru;
constexpr std::uint8_t kBothBits = 1U << kLru | 1U << kLfu;

TEST(Experts, ARegretLowersTheWeightOfItsExperts) {
  Experts experts({0.5, 0.5}, 1000);
  experts.regret(kLruBit, 0);
  const double lru = 0.5 * std::exp(-0.1);
  EXPECT_NEAR(experts.weights()[kLru], lru / (lru + 0.5), 1e-12);
  EXPECT_NEAR(experts.weights()[kLru] + experts.weights()[kLfu], 1, 1e-12);
  EXPECT_EQ(experts.best(), kLfu);
  const ExpertValues before = experts.weights();
  experts.regret(kBothBits, 0);
  EXPECT_NEAR(experts.weights()[kLru], before[kLru], 1e-12);
}

TEST(Experts, AnOldEvictionIsRegrettedLess) {
  Experts newest({0.5, 0.5}, 1000), oldest({0.5, 0.5}, 1000);
  newest.regret(kLruBit, 0);
  oldest.regret(kLruBit, 1000);
  EXPECT_LT(newest.weights()[kLru], oldest.weights()[kLru]);
  EXPECT_NEAR(oldest.weights()[kLru], 0.5 - 0.5 * 0.5 * 0.1 * 0.005, 1e-6);
}

TEST(Experts, NoWeightFallsBelowAHundredth) {
  Experts experts({0.5, 0.5}, 1000);
  for (int i = 0; i < 1000; ++i) experts.regret(kLruBit, 0);
  EXPECT_NEAR(experts.weights()[kLru], 0.01, 1e-4);
  ExpertWeights weights;
  weights.lower({-1000, -1000});
  EXPECT_NEAR(weights.values()[kLru], 0.5, 1e-12);
}

TEST(Experts, AHundredMissesAreToldTogether) {
  Experts experts({0.5, 0.5}, 1000);
  for (int i = 0; i < 99; ++i) EXPECT_FALSE(experts.regret(kLruBit, 0));
  const auto told = experts.regret(kLruBit, 0);
  ASSERT_TRUE(told);
  EXPECT_NEAR((*told)[kLru], -10, 1e-9);
  EXPECT_EQ((*told)[kLfu], 0);
  EXPECT_FALSE(experts.regret(kLruBit, 0));
  experts.adopt({0.5, 0.5});  // and the one that is not told yet
  const double lru = 0.5 * std::exp(-0.1);
  EXPECT_NEAR(experts.weights()[kLru], lru / (lru + 0.5), 1e-12);
}

TEST(Experts, AProposalIsDrawnByTheWeightOfThoseThatMakeIt) {
  Experts experts({0.8, 0.2}, 1000);
  Random random(1);
  int first = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Experts::Choice choice = experts.choose({3, 7}, random);
    EXPECT_EQ(choice.bits, choice.proposal == 3 ? 1U << kLru : 1U << kLfu);
    first += choice.proposal == 3 ? 1 : 0;
  }
  EXPECT_NEAR(first / 100'000.0, 0.9 * 0.8 + 0.05, 0.01);
  const Experts::Choice agreed = experts.choose({4, 4}, random);
  EXPECT_EQ(agreed.proposal, 4U);
  EXPECT_EQ(agreed.bits, kBothBits);
}

}  // namespace
}  // namespace scalio::ditto
