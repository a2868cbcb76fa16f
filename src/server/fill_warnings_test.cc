#include "server/fill_warnings.h"

#include <gtest/gtest.h>

namespace scalio::server {
namespace {

TEST(FillWarningsTest, EachLevelIsToldOnce) {
  FillWarnings warnings;
  EXPECT_EQ(warnings.reached(0.5), std::nullopt);
  EXPECT_EQ(warnings.reached(0.799), std::nullopt);
  EXPECT_EQ(warnings.reached(0.801), 80U);
  EXPECT_EQ(warnings.reached(0.85), std::nullopt);
  EXPECT_EQ(warnings.reached(0.9), 90U);
  EXPECT_EQ(warnings.reached(0.96), 95U);
  EXPECT_EQ(warnings.reached(1), std::nullopt);
}

TEST(FillWarningsTest, TheHighestOfSeveralIsTold) {
  FillWarnings warnings;
  EXPECT_EQ(warnings.reached(0.97), 95U);
  EXPECT_EQ(warnings.reached(0.97), std::nullopt);
}

TEST(FillWarningsTest, ALevelIsToldAgainOnlyAfterItWasEmptier) {
  FillWarnings warnings;
  EXPECT_EQ(warnings.reached(0.91), 90U);
  EXPECT_EQ(warnings.reached(0.89), std::nullopt);
  EXPECT_EQ(warnings.reached(0.91), std::nullopt);
  EXPECT_EQ(warnings.reached(0.87), std::nullopt);
  EXPECT_EQ(warnings.reached(0.91), 90U);
  EXPECT_EQ(warnings.reached(0.7), std::nullopt);
  EXPECT_EQ(warnings.reached(0.82), 80U);
}

}  // namespace
}  // namespace scalio::server
