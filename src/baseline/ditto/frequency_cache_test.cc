#include "baseline/ditto/frequency_cache.h"

#include <gtest/gtest.h>

namespace scalio::ditto {
namespace {

TEST(FrequencyCache, TenUsesAreOne) {
  FrequencyCache cache(16);
  for (int round = 0; round < 3; ++round) {
    for (int i = 1; i < 10; ++i) EXPECT_FALSE(cache.use(48, 1, 5));
    const auto uses = cache.use(48, 1, 7);
    ASSERT_TRUE(uses);
    EXPECT_EQ(uses->slot_at, 48U);
    EXPECT_EQ(uses->seen, 7U);
    EXPECT_EQ(uses->count, 10U);
  }
}

TEST(FrequencyCache, WhatIsDisplacedIsSentOff) {
  FrequencyCache cache(1);
  EXPECT_FALSE(cache.use(48, 1, 5));
  EXPECT_FALSE(cache.use(48, 1, 5));
  const auto uses = cache.use(96, 2, 9);
  ASSERT_TRUE(uses);
  EXPECT_EQ(uses->slot_at, 48U);
  EXPECT_EQ(uses->count, 2U);
  const auto of_the_key_before = cache.use(96, 3, 9);
  ASSERT_TRUE(of_the_key_before);
  EXPECT_EQ(of_the_key_before->count, 1U);
}

}  // namespace
}  // namespace scalio::ditto
