#include "linearizability/write_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "linearizability/linearizability.h"
#include "testing/sanitizer.h"

namespace scalio::linearizability {

using history::kNever;
using history::Operation;
using history::Time;
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;
using History = std::vector<Operation>;

Operation operation(Kind kind, Outcome outcome, std::optional<std::string> value, Time called,
                    Time returned) {
  Operation o;
  o.client = "c";
  o.kind = kind;
  o.key = "k";
  o.value = std::move(value);
  o.outcome = outcome;
  o.called = called;
  o.returned = returned;
  return o;
}
Operation put(std::string value, Time called, Time returned) {
  return operation(Kind::put, Outcome::ok, std::move(value), called, returned);
}
Operation lost_put(std::string value, Time called) {
  return operation(Kind::put, Outcome::unknown, std::move(value), called, kNever);
}
Operation get(std::string value, Time called, Time returned) {
  return operation(Kind::get, Outcome::ok, std::move(value), called, returned);
}
Operation get_nothing(Time called, Time returned) {
  return operation(Kind::get, Outcome::not_found, std::nullopt, called, returned);
}

bool explained(const History& history) {
  const Result<History> versioned = with_versions(history);
  EXPECT_TRUE(versioned.ok()) << versioned.status().to_string();
  const auto violations = check(*versioned);
  EXPECT_TRUE(violations.ok()) << violations.status().to_string();
  return violations->empty();
}

TEST(WriteOrder, WritesAtOnceTakeTheOrderInWhichTheyWereSeen) {
  EXPECT_TRUE(explained({put("a", 1, 5), put("b", 2, 6), get("a", 7, 8)}));
  EXPECT_TRUE(explained({put("a", 1, 5), put("b", 2, 6), get("b", 7, 8)}));
  EXPECT_FALSE(explained({put("a", 1, 5), put("b", 2, 6), get("a", 7, 8), get("b", 9, 10)}));
}

TEST(WriteOrder, AWriteThatNobodySawFindsAPlaceAmongTheOthers) {
  // Before a, though it ends after a was seen.
  EXPECT_TRUE(explained({put("b", 1, 9), put("a", 2, 3), get("a", 4, 5), get("a", 11, 12)}));
  // After it, though it begins before.
  EXPECT_TRUE(explained({put("a", 1, 2), put("b", 3, 9), get("a", 4, 5), get("b", 11, 12)}));
  // Nowhere.
  EXPECT_FALSE(explained({put("a", 1, 2), put("b", 3, 4), get("a", 5, 6)}));
}

TEST(WriteOrder, WhatIsLostMayHaveHappened) {
  EXPECT_TRUE(explained({put("a", 1, 2), lost_put("b", 3), get("a", 5, 6), get("b", 7, 8)}));
  EXPECT_TRUE(explained({put("a", 1, 2), lost_put("b", 3), get("a", 5, 6)}));
  EXPECT_FALSE(explained({put("a", 1, 2), lost_put("b", 3), get("b", 5, 6), get("a", 7, 8)}));
}

TEST(WriteOrder, AKeyIsAbsentOnlyAtFirst) {
  EXPECT_TRUE(explained({get_nothing(1, 2), put("a", 1, 5), get_nothing(3, 4), get("a", 6, 7)}));
  EXPECT_FALSE(explained({put("a", 1, 2), get_nothing(3, 4)}));
}

TEST(WriteOrder, VersionsThatWereThereDoNotCount) {
  History history = {put("a", 1, 2), put("b", 3, 4), get("b", 5, 6)};
  history[0].version = 9;
  history[1].version = 3;
  EXPECT_TRUE(explained(history));
}

TEST(WriteOrder, OfOtherOperationsThereIsNone) {
  Operation remove = operation(Kind::remove, Outcome::ok, std::nullopt, 1, 2);
  EXPECT_EQ(with_versions(History{remove}).code(), Code::invalid);
}

// The definition: some order of the writes, as versions, satisfies the checker.
bool some_order_explains(History history) {
  std::vector<std::size_t> writes;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (history[i].is_write()) writes.push_back(i);
  }
  do {
    for (Operation& o : history) {
      for (std::size_t n = 0; n < writes.size(); ++n) {
        const bool its = o.outcome == Outcome::ok && o.value == history[writes[n]].value;
        if (its) o.version = n + 1;
      }
    }
    const auto violations = check(history);
    EXPECT_TRUE(violations.ok());
    if (violations->empty()) return true;
  } while (std::next_permutation(writes.begin(), writes.end()));
  return false;
}

TEST(WriteOrder, ExplainsWhatAnyOrderExplains) {
  Random random(1);
  int good = 0;
  constexpr int kHistories = kSanitized ? 1'000 : 10'000;
  for (int n = 0; n < kHistories; ++n) {
    History history;
    const std::uint64_t writes = random.between(1, 4), gets = random.between(1, 4);
    const Time length = static_cast<Time>(random.between(4, 20));
    const auto interval = [&] {
      const auto a = static_cast<Time>(random.below(static_cast<std::uint64_t>(length)));
      return std::pair(a, a + static_cast<Time>(random.between(1, 6)));
    };
    for (std::uint64_t i = 0; i < writes; ++i) {
      const auto [called, returned] = interval();
      const std::string value = std::to_string(i);
      history.push_back(random.below(6) == 0 ? lost_put(value, called)
                                             : put(value, called, returned));
    }
    for (std::uint64_t i = 0; i < gets; ++i) {
      const auto [called, returned] = interval();
      history.push_back(random.below(8) == 0
                            ? get_nothing(called, returned)
                            : get(std::to_string(random.below(writes)), called, returned));
    }
    const bool expected = some_order_explains(history);
    good += expected ? 1 : 0;
    std::string text;
    for (const Operation& o : history) text += to_string(o, 0) + "\n";
    ASSERT_EQ(explained(history), expected) << "history " << n << "\n" << text;
  }
  // Both answers were compared often.
  EXPECT_GT(good, kHistories / 10);
  EXPECT_LT(good, kHistories * 9 / 10);
}

}  // namespace
}  // namespace scalio::linearizability
