#include "linearizability/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "linearizability/linearizability.h"
#include "linearizability/write_order.h"

namespace scalio::linearizability {

using history::Operation;
using history::Time;
namespace {

using History = std::vector<Operation>;

Operation operation(Operation::Kind kind, std::string value, Time called, Time returned) {
  Operation o;
  o.client = "c";
  o.kind = kind;
  o.key = "k";
  o.value = std::move(value);
  o.outcome = Operation::Outcome::ok;
  o.called = called;
  o.returned = returned;
  return o;
}
Operation put(std::string value, Time called, Time returned) {
  return operation(Operation::Kind::put, std::move(value), called, returned);
}
Operation get(std::string value, Time called, Time returned) {
  return operation(Operation::Kind::get, std::move(value), called, returned);
}

bool not_linearizable(std::span<const Operation> history) {
  const auto versioned = with_versions(history);
  EXPECT_TRUE(versioned.ok());
  const auto violations = check(*versioned);
  EXPECT_TRUE(violations.ok());
  return !violations->empty();
}

TEST(Shrink, LeavesTheOperationsThatAreNeeded) {
  History history;
  for (Time i = 0; i < 500; ++i) {
    const std::string value = "v" + std::to_string(i);
    history.push_back(put(value, 10 * i, 10 * i + 2));
    history.push_back(get(value, 10 * i + 3, 10 * i + 4));
    history.push_back(get(value, 10 * i + 5, 10 * i + 6));
  }
  ASSERT_FALSE(not_linearizable(history));
  history.push_back(get("v200", 2015, 2016));  // v201 was there from 2012 on
  std::size_t asked = 0;
  const std::vector<std::size_t> left = shrink(history, [&](std::span<const Operation> part) {
    ++asked;
    return not_linearizable(part);
  });
  // The stale read, the write of what it read, and the one that it should have seen.
  EXPECT_EQ(left, (std::vector<std::size_t>{3 * 200, 3 * 201, history.size() - 1}));
  EXPECT_LT(asked, 100U);
}

// Of these none can go, whichever is tried first.
TEST(Shrink, NothingLessFails) {
  const History history = {put("a", 1, 5), put("b", 2, 6), get("a", 7, 8), get("b", 9, 10)};
  EXPECT_EQ(shrink(history, not_linearizable), (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(Shrink, AWriteGoesWithAllWhoReadIt) {
  // The gets of x come before its put, which is in flight.
  const History history = {get("x", 1, 3),   get("x", 2, 4),   put("x", 1, 9),
                           put("a", 11, 12), put("b", 13, 14), get("a", 15, 16)};
  const auto fails = [&](std::span<const Operation> part) {
    for (const Operation& o : part) {
      const bool written =
          o.is_write() || std::any_of(part.begin(), part.end(), [&](const Operation& other) {
            return other.is_write() && other.value == o.value;
          });
      EXPECT_TRUE(written);
    }
    return not_linearizable(part);
  };
  EXPECT_EQ(shrink(history, fails), (std::vector<std::size_t>{3, 4, 5}));
}

}  // namespace
}  // namespace scalio::linearizability
