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

// Places cost nothing to who has many: of one name they have a bound together, too.
TEST(WrongSecrets, ManyPlacesHaveABoundTogether) {
  WrongSecrets wrong;
  const auto place = [](unsigned i) { return "tcp 10.0.1." + std::to_string(i); };
  unsigned taken = 0;
  for (unsigned i = 0; i < 1000; ++i) {
    if (!wrong.may_try(place(i), "ann", 0)) continue;
    wrong.count(place(i), "ann", 0);
    ++taken;
  }
  EXPECT_EQ(taken, WrongSecrets::kAllAtOnce);
  EXPECT_FALSE(wrong.may_try(kHost, "ann", WrongSecrets::kAllOneIn - 1));
  EXPECT_TRUE(wrong.may_try(kHost, "ann", WrongSecrets::kAllOneIn));
  EXPECT_TRUE(wrong.may_try(kHost, "bob", 0));
}

TEST(WrongSecrets, WhereOneWasRightOthersKeepNobodyOut) {
  WrongSecrets wrong;
  wrong.right(kHost, "ann", 0);
  for (unsigned i = 0; i < 1000; ++i) wrong.count("tcp 10.0.1." + std::to_string(i), "ann", 0);
  EXPECT_FALSE(wrong.may_try("tcp 10.0.0.8", "ann", 0));
  EXPECT_TRUE(wrong.may_try(kHost, "ann", 0));
  // But it may not guess more than any other place.
  for (unsigned i = 0; i < WrongSecrets::kAtOnce; ++i) wrong.count(kHost, "ann", 0);
  EXPECT_FALSE(wrong.may_try(kHost, "ann", 0));
}

// What one place tries beyond its own bound, all at once, is not held against others.
TEST(WrongSecrets, OnePlaceDoesNotUseUpTheBoundOfAll) {
  WrongSecrets wrong;
  for (unsigned i = 0; i < 1000; ++i) wrong.count(kHost, "ann", 0);
  EXPECT_TRUE(wrong.may_try("tcp 10.0.0.8", "ann", 0));
}

TEST(WrongSecrets, AllNamesOfAPlaceAreCountedTogether) {
  WrongSecrets wrong;
  for (unsigned i = 0; i < WrongSecrets::kOfPlaceAtOnce; ++i) {
    EXPECT_EQ(wrong.due(kHost, 0), 0u) << i;
    wrong.count(kHost, "user" + std::to_string(i), 0);
  }
  EXPECT_EQ(wrong.due(kHost, 0), WrongSecrets::kOfPlaceOneIn);
  EXPECT_EQ(wrong.due(kHost, WrongSecrets::kOfPlaceOneIn), WrongSecrets::kOfPlaceOneIn);
  EXPECT_EQ(wrong.due("tcp 10.0.0.8", 0), 0u);
  EXPECT_TRUE(wrong.may_try(kHost, "ann", 0)) << "a name keeps out no other";
}

// Names and networks cost nothing to who has a large network of its own: some names at each of more
// places than are remembered leave the bound of a name as it is.
TEST(WrongSecrets, ManyNamesAtManyPlacesDisplaceNoBound) {
  WrongSecrets wrong;
  const auto network = [](std::size_t i) { return "tcp 2001:db8:0:" + std::to_string(10'000 + i); };
  for (std::size_t i = 0; i < WrongSecrets::kMost + 200; ++i) {
    for (unsigned name = 0; name < 3; ++name)
      wrong.count(network(i), "no-" + std::to_string(name), 0);
  }
  unsigned taken = 0;
  for (unsigned i = 0; i < 10'000; ++i) {
    const std::string place = "tcp 10.0.1." + std::to_string(i % 50);
    const Nanos now = i * kMillisecond;
    if (!wrong.may_try(place, "ann", now)) continue;
    wrong.count(place, "ann", now);
    ++taken;
  }
  EXPECT_LE(taken, WrongSecrets::kAllAtOnce + 10 * kSecond / WrongSecrets::kAllOneIn);
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
