#include "server/outstanding.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace scalio::server {
namespace {

TEST(OutstandingTest, KnowsTheOldestWhateverTheOrderInWhichTheyGo) {
  Outstanding outstanding;
  std::set<std::uint64_t> model;
  Random random(1);
  std::uint64_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (model.size() < 50 && random.below(2) == 0) {
      next += 8 * (1 + random.below(4));
      outstanding.add(next);
      model.insert(next);
    } else if (!model.empty()) {
      const auto it = std::next(model.begin(), static_cast<long>(random.below(model.size())));
      outstanding.remove(*it);
      model.erase(it);
    }
    ASSERT_EQ(outstanding.size(), model.size());
    ASSERT_EQ(outstanding.oldest(), model.empty() ? std::nullopt : std::optional(*model.begin()));
  }
}

TEST(OutstandingDeathTest, WhatIsNotThereDoesNotGo) {
  Outstanding outstanding;
  outstanding.add(8);
  outstanding.add(24);
  EXPECT_DEATH(outstanding.remove(16), "");
  EXPECT_DEATH(outstanding.add(24), "");
}

}  // namespace
}  // namespace scalio::server
