#include "client/store_estimate.h"

#include <gtest/gtest.h>

namespace scalio::client {
namespace {

TEST(StoreEstimate, KnowsNothingAtFirst) {
  const StoreEstimate e;
  EXPECT_FALSE(e.lives(~0ULL >> 1, 5));
  EXPECT_FALSE(e.ended(1, 5));
}

// Told as 1000 at some moment from 100 to 110.
TEST(StoreEstimate, ItsErrorGrowsWithItsAge) {
  StoreEstimate e;
  e.learn(1000, 100, 110);
  EXPECT_TRUE(e.lives(1013, 110));
  EXPECT_FALSE(e.lives(1012, 110)) << "10 have passed, and perhaps a quarter more";
  EXPECT_TRUE(e.lives(1126, 200));
  EXPECT_FALSE(e.lives(1125, 200));
  EXPECT_TRUE(e.ended(1000, 110));
  EXPECT_FALSE(e.ended(1001, 110));
  EXPECT_FALSE(e.ended(1001, 100'000)) << "nobody was told";
  EXPECT_FALSE(e.ended(1, 109)) << "what was read before it was told";
}

TEST(StoreEstimate, AnOlderAnswerChangesNothing) {
  StoreEstimate e;
  e.learn(2000, 300, 310);
  e.learn(1000, 100, 110);
  EXPECT_EQ(e.told(), 2000U);
}

}  // namespace
}  // namespace scalio::client
