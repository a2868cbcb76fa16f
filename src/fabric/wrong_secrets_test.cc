#include "fabric/wrong_secrets.h"

#include <gtest/gtest.h>

namespace scalio::fabric {
namespace {

constexpr char kHost[] = "tcp 10.0.0.7";

TEST(WrongSecrets, AFewAreTakenAtOnceAndThenOneASecond) {
  WrongSecrets wrong;
  unsigned taken = 0;
  for (; taken < 1000 && wrong.may_try(kHost, "ann", 0); ++taken) wrong.count(kHost, "ann", 0);
  EXPECT_EQ(taken, WrongSecrets::kAtOnce);
  EXPECT_FALSE(wrong.may_try(kHost, "ann", kSecond - 1));
  EXPECT_TRUE(wrong.may_try(kHost, "ann", kSecond));
  wrong.count(kHost, "ann", kSecond);
  EXPECT_FALSE(wrong.may_try(kHost, "ann", kSecond));
}

TEST(WrongSecrets, WhoGuessesKeepsOutNoOtherUserAndNoOtherPlace) {
  WrongSecrets wrong;
  for (unsigned i = 0; i < WrongSecrets::kAtOnce; ++i) wrong.count(kHost, "ann", 0);
  EXPECT_FALSE(wrong.may_try(kHost, "ann", 0));
  EXPECT_TRUE(wrong.may_try(kHost, "bob", 0));
  EXPECT_TRUE(wrong.may_try("tcp 10.0.0.8", "ann", 0));
}

TEST(WrongSecrets, WhatIsRememberedHasALimitAndTheLatestStays) {
  WrongSecrets wrong;
  for (unsigned i = 0; i < WrongSecrets::kAtOnce; ++i) wrong.count(kHost, "guessed", 0);
  for (std::size_t i = 0; i < 2 * WrongSecrets::kMost; ++i)
    wrong.count(kHost, "user" + std::to_string(i), 0);
  EXPECT_FALSE(wrong.may_try(kHost, "guessed", 0));
}

}  // namespace
}  // namespace scalio::fabric
