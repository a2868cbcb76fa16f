#include "task/spin.h"

#include <gtest/gtest.h>

#include <vector>

namespace scalio {
namespace {

constexpr Nanos kBound = 50 * kMicrosecond;

// How many chances pass before it spins again.
unsigned passes(Spin& spin) {
  unsigned passed = 0;
  while (!spin.begins()) ++passed;
  return passed;
}

TEST(SpinTest, WithoutABoundItNeverBegins) {
  Spin spin(0);
  spin.slept(0);
  EXPECT_FALSE(spin.begins());
}

TEST(SpinTest, BeginsOnlyAfterAShortWait) {
  Spin spin(kBound);
  EXPECT_FALSE(spin.begins());
  spin.slept(kBound + Spin::kWaking);
  EXPECT_TRUE(spin.begins());
  spin.slept(kBound + Spin::kWaking + 1);
  EXPECT_FALSE(spin.begins());
  EXPECT_FALSE(spin.begins());
  spin.slept(0);
  EXPECT_TRUE(spin.begins());
}

TEST(SpinTest, GoesOnWhileItPays) {
  Spin spin(kBound);
  spin.slept(0);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(spin.begins());
    spin.paid(2);
  }
  EXPECT_EQ(spin.spins(), 10u);
  EXPECT_EQ(spin.spins_paid(), 10u);
  EXPECT_EQ(spin.spun(), 20u);
}

TEST(SpinTest, EachInVainLetsMoreChancesPassAndOneThatPaysForgetsThem) {
  Spin spin(kBound);
  spin.slept(0);
  std::vector<unsigned> passed;
  for (int i = 0; i < 8; ++i) {
    passed.push_back(passes(spin));
    spin.in_vain(kBound);
    spin.slept(kBound + 1);
  }
  EXPECT_EQ(passed, (std::vector<unsigned>{0, 1, 3, 7, 15, 31, 63, 63}));
  EXPECT_EQ(passes(spin), 63u);
  spin.paid(1);
  EXPECT_EQ(passes(spin), 0u);
  spin.in_vain(kBound);
  EXPECT_EQ(passes(spin), 1u);
  EXPECT_EQ(spin.spins(), 10u);
  EXPECT_EQ(spin.spins_paid(), 1u);
  EXPECT_EQ(spin.spun(), 9 * kBound + 1);
}

}  // namespace
}  // namespace scalio
