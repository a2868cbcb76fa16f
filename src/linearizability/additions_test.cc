#include "linearizability/additions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "linearizability/linearizability.h"

namespace scalio::linearizability {
namespace {

using history::kNever;
using history::Operation;
using history::Time;
using Kind = Operation::Kind;
using Outcome = Operation::Outcome;

Operation addition(Kind kind, std::string value, std::uint64_t version, std::int64_t number,
                   Time called, Time returned) {
  return {.client = "c",
          .kind = kind,
          .key = "k",
          .value = std::move(value),
          .version = version,
          .number = number,
          .outcome = version != 0 ? Outcome::ok : Outcome::unknown,
          .called = called,
          .returned = version != 0 ? returned : kNever};
}
Operation append(std::string text, std::uint64_t version, std::int64_t size, Time called,
                 Time returned) {
  return addition(Kind::append, std::move(text), version, size, called, returned);
}
Operation increment(std::string by, std::uint64_t version, std::int64_t sum, Time called,
                    Time returned) {
  return addition(Kind::increment, std::move(by), version, sum, called, returned);
}
Operation get(std::string value, std::uint64_t version, Time called, Time returned) {
  return {.client = "r",
          .kind = Kind::get,
          .key = "k",
          .value = std::move(value),
          .version = version,
          .outcome = Outcome::ok,
          .called = called,
          .returned = returned};
}
Operation get_nothing(Time called, Time returned) {
  return {.client = "r",
          .kind = Kind::get,
          .key = "k",
          .value = {},
          .outcome = Outcome::not_found,
          .called = called,
          .returned = returned};
}

// What is wrong; "" if nothing is.
std::string wrong(const std::vector<Operation>& history) {
  const auto found = check(history);
  if (!found.ok()) return found.status().to_string();
  return found->empty() ? "" : found->front().what;
}

TEST(Additions, WhatAnOrderExplainsIsRight) {
  EXPECT_EQ(wrong({get_nothing(0, 1), append("a;", 3, 2, 2, 9), append("b;", 5, 4, 4, 12),
                   get("a;", 3, 5, 6), get("a;b;", 5, 10, 11), append("c;", 0, 0, 7, 0)}),
            "");
  // The one of unknown outcome has happened, or not.
  EXPECT_EQ(wrong({append("a;", 0, 0, 1, 0), get("a;", 4, 2, 3)}), "");
  EXPECT_EQ(wrong({increment("4", 2, 4, 0, 5), increment("1", 3, 5, 1, 6),
                   increment("16", 0, 0, 2, 0), get("21", 9, 7, 8), get("5", 3, 7, 8)}),
            "");
}

TEST(Additions, WhatIsDoneTwiceIsFound) {
  EXPECT_EQ(wrong({append("a;", 3, 2, 0, 1), get("a;a;", 4, 2, 3)}), "an addition was done twice");
  EXPECT_EQ(wrong({increment("4", 3, 4, 0, 1), get("8", 4, 2, 3)}), "an addition was done twice");
  EXPECT_EQ(wrong({increment("4", 3, 8, 0, 1)}), "an addition was done twice");
}

TEST(Additions, WhatIsLostIsFound) {
  EXPECT_EQ(wrong({append("a;", 3, 2, 0, 1), append("b;", 4, 2, 2, 3), get("b;", 4, 4, 5)}),
            "an addition is not where its version says");
  EXPECT_EQ(wrong({append("a;", 3, 2, 0, 1), get_nothing(2, 3)}),
            "an operation came before one that had returned when it was called");
  EXPECT_EQ(wrong({increment("1", 3, 1, 0, 1), increment("4", 4, 4, 2, 3)}),
            "of two states neither follows from the other");
}

TEST(Additions, StatesThatDoNotFollowAreFound) {
  EXPECT_EQ(wrong({append("a;", 0, 0, 0, 0), append("b;", 0, 0, 0, 0), get("a;", 3, 1, 2),
                   get("b;a;", 4, 1, 2)}),
            "of two states neither follows from the other");
  EXPECT_EQ(wrong({append("a;", 0, 0, 0, 0), get("a;", 3, 1, 2), get("a;", 4, 1, 2)}),
            "of two states neither follows from the other");
}

TEST(Additions, TheOrderOfTimeIsKept) {
  EXPECT_EQ(wrong({append("a;", 3, 2, 0, 9), append("b;", 4, 4, 0, 9), get("a;b;", 4, 1, 2),
                   get("a;", 3, 3, 4)}),
            "an operation came before one that had returned when it was called");
  EXPECT_EQ(wrong({append("a;", 0, 0, 5, 0), get("a;", 3, 1, 2)}),
            "an addition was seen before it was called");
}

TEST(Additions, AnswersMustFit) {
  EXPECT_EQ(wrong({append("a;", 3, 7, 0, 1), get("a;", 3, 2, 3)}),
            "an append told another size than it left");
  EXPECT_EQ(wrong({append("a;", 3, 2, 0, 1), get("x;", 4, 2, 3)}), "what nobody added was seen");
  Operation failed = append("a;", 0, 0, 0, 1);
  failed.outcome = Outcome::error;
  failed.returned = 1;
  EXPECT_EQ(wrong({failed, get("a;", 4, 2, 3)}),
            "an addition was seen that was reported as having done nothing");
}

TEST(Additions, WhatCannotBeToldApartIsRefused) {
  for (const auto& history : std::vector<std::vector<Operation>>{
           {append("a", 1, 1, 0, 1)},
           {append("a;b;", 1, 1, 0, 1)},
           {append("a;", 1, 2, 0, 1), append("a;", 2, 4, 0, 1)},
           {increment("2", 1, 2, 0, 1)},
           {increment("-4", 1, 2, 0, 1)},
           {append("a;", 1, 2, 0, 1), increment("4", 2, 4, 0, 1)}}) {
    const std::vector<Operation> one(history);
    EXPECT_EQ(check(one).code(), Code::invalid);
  }
}

}  // namespace
}  // namespace scalio::linearizability
