#include "fabric/wrong_secrets.h"

#include <gtest/gtest.h>

namespace scalio::fabric {
namespace {

TEST(WrongSecrets, AFewAreTakenAtOnceAndThenOneASecond) {
  WrongSecrets wrong;
  unsigned taken = 0;
  for (; taken < 1000 && wrong.may_try("tcp 10.0.0.7", 0); ++taken) wrong.count("tcp 10.0.0.7", 0);
  EXPECT_EQ(taken, WrongSecrets::kAtOnce);
  EXPECT_TRUE(wrong.may_try("tcp 10.0.0.8", 0)) << "of another place";
  EXPECT_FALSE(wrong.may_try("tcp 10.0.0.7", kSecond - 1));
  EXPECT_TRUE(wrong.may_try("tcp 10.0.0.7", kSecond));
  wrong.count("tcp 10.0.0.7", kSecond);
  EXPECT_FALSE(wrong.may_try("tcp 10.0.0.7", kSecond));
}

TEST(WrongSecrets, WhatIsRememberedHasALimitAndTheLatestStays) {
  WrongSecrets wrong;
  for (unsigned i = 0; i < WrongSecrets::kAtOnce; ++i) wrong.count("guesser", 0);
  for (std::size_t i = 0; i < 2 * WrongSecrets::kMostPlaces; ++i)
    wrong.count("place " + std::to_string(i), 0);
  EXPECT_FALSE(wrong.may_try("guesser", 0));
}

TEST(WrongSecrets, APlaceIsAHostOrThisMachine) {
  EXPECT_EQ(WrongSecrets::place_of("tcp 10.0.0.7:5000"), "tcp 10.0.0.7");
  EXPECT_EQ(WrongSecrets::place_of("tcp [::1]:5000"), "tcp [::1]");
  EXPECT_EQ(WrongSecrets::place_of("unix pid 12"), "unix");
}

}  // namespace
}  // namespace scalio::fabric
