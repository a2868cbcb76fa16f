#include "server/pending_lsns.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace scalio::server {
namespace {

TEST(PendingLsnsTest, KnowsTheOldestWhateverTheOrderInWhichTheyGo) {
  PendingLsns pending;
  std::set<std::uint64_t> model;
  Random random(1);
  std::uint64_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (model.size() < 50 && random.below(2) == 0) {
      next += 8 * (1 + random.below(4));
      pending.add(next);
      model.insert(next);
    } else if (!model.empty()) {
      const auto it = std::next(model.begin(), static_cast<long>(random.below(model.size())));
      pending.remove(*it);
      model.erase(it);
    }
    ASSERT_EQ(pending.size(), model.size());
    ASSERT_EQ(pending.oldest(), model.empty() ? std::nullopt : std::optional(*model.begin()));
  }
}

TEST(PendingLsnsDeathTest, WhatIsNotThereDoesNotGo) {
  PendingLsns pending;
  pending.add(8);
  pending.add(24);
  EXPECT_DEATH(pending.remove(16), "");
  EXPECT_DEATH(pending.add(24), "");
}

}  // namespace
}  // namespace scalio::server
