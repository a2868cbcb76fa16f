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

// Of unknown outcome if it has no version.
Operation change(std::uint64_t version, Time ends, Time gone, Time called, Time returned) {
  Operation o;
  o.client = "e";
  o.kind = Kind::set_end;
  o.key = "k";
  o.version = version;
  o.ends = ends;
  o.gone = gone;
  o.outcome = version != 0 ? Outcome::ok : Outcome::unknown;
  o.called = called;
  o.returned = version != 0 ? returned : kNever;
  return o;
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

TEST(Additions, WhatHasEndedIsBegunAnew) {
  const Operation a = append("a;", 3, 2, 0, 1), ends = change(4, 10, 20, 2, 3);
  EXPECT_EQ(wrong({a, ends, get("a;", 4, 4, 5), get_nothing(15, 16), append("b;", 6, 2, 21, 22),
                   get("b;", 6, 23, 24)}),
            "");
  // Nobody has seen that it had ended.
  EXPECT_EQ(wrong({a, ends, append("b;", 6, 2, 12, 13), get("b;", 6, 14, 15)}), "");
  // The last addition was done before the end, and is gone with the others.
  EXPECT_EQ(wrong({a, ends, append("b;", 6, 4, 5, 6), get_nothing(15, 16)}), "");
  EXPECT_EQ(wrong({increment("4", 2, 4, 0, 1), change(3, 10, 20, 2, 3),
                   increment("1", 5, 1, 21, 22), get("1", 5, 23, 24)}),
            "");
  // The change may have been done, or not.
  EXPECT_EQ(wrong({a, change(0, 10, kNever, 2, 0), get("a;", 5, 4, 5), get_nothing(15, 16)}), "");
  EXPECT_EQ(wrong({a, change(0, 10, kNever, 2, 0), get("a;", 3, 24, 25)}), "");
}

TEST(Additions, WithoutAnEndNothingIsGone) {
  constexpr const char* kBefore =
      "an operation came before one that had returned when it was called";
  const Operation a = append("a;", 3, 2, 0, 1);
  EXPECT_EQ(wrong({a, change(4, kNever, kNever, 2, 3), get_nothing(15, 16)}), kBefore);
  EXPECT_EQ(wrong({a, change(4, 50, kNever, 2, 3), get_nothing(15, 16)}), kBefore);
  EXPECT_EQ(
      wrong({a, change(4, 50, kNever, 2, 3), append("b;", 6, 2, 12, 13), get("b;", 6, 14, 15)}),
      "an addition is not where its version says");
  // What is begun anew has no end.
  EXPECT_EQ(wrong({a, change(4, 10, 20, 2, 3), append("b;", 6, 2, 21, 22), get_nothing(25, 26)}),
            kBefore);
}

TEST(Additions, WhatHasEndedIsNotSeen) {
  constexpr const char* kLate = "a record was seen after its end";
  const Operation a = append("a;", 3, 2, 0, 1), ends = change(4, 10, 20, 2, 3);
  EXPECT_EQ(wrong({a, ends, get("a;", 4, 20, 25)}), "");
  EXPECT_EQ(wrong({a, ends, get("a;", 4, 21, 25)}), kLate);
  EXPECT_EQ(wrong({a, ends, append("b;", 6, 4, 21, 22), get("a;b;", 6, 23, 24)}), kLate);
  EXPECT_EQ(
      wrong({increment("4", 2, 4, 0, 1), change(3, 10, 20, 2, 3), increment("1", 5, 5, 21, 22)}),
      kLate);
  // It was given another end in time.
  EXPECT_EQ(wrong({a, ends, change(5, kNever, kNever, 6, 7), get("a;", 5, 21, 22)}), "");
  EXPECT_EQ(wrong({a, ends, change(0, kNever, kNever, 6, 0), get("a;", 5, 21, 22)}), "");
}

TEST(Additions, WhatHasEndedDoesNotComeBack) {
  constexpr const char* kBack = "what had ended came back";
  const Operation a = append("a;", 3, 2, 0, 1), ends = change(4, 10, kNever, 2, 3);
  EXPECT_EQ(
      wrong({a, ends, get_nothing(15, 16), append("b;", 6, 4, 17, 18), get("a;b;", 6, 19, 20)}),
      kBack);
  EXPECT_EQ(wrong({a, ends, get("a;", 4, 4, 5), append("b;", 6, 2, 11, 12), get("b;", 6, 13, 14),
                   append("c;", 8, 4, 15, 16), get("a;c;", 8, 17, 18)}),
            kBack);
}

TEST(Additions, AChangeOfTheEndIsAWriteToo) {
  const Operation a = append("a;", 3, 2, 0, 1);
  EXPECT_EQ(wrong({a, change(3, kNever, kNever, 2, 3)}), "two writes have the same version");
  EXPECT_EQ(wrong({a, change(5, kNever, kNever, 2, 3), get("a;", 3, 2, 3), get("a;", 4, 2, 3)}),
            "of two states neither follows from the other");
  Operation of_a = change(6, kNever, kNever, 4, 5);
  of_a.expected = 3;
  EXPECT_EQ(wrong({a, of_a, get("a;", 6, 6, 7)}), "");
  EXPECT_EQ(wrong({a, append("b;", 4, 4, 2, 3), of_a}), "an end was changed of another version");
  EXPECT_EQ(wrong({a, of_a, get("a;", 3, 6, 7)}),
            "an operation came before one that had returned when it was called");
  Operation none = change(0, kNever, kNever, 2, 3);
  none.outcome = Outcome::not_found;
  none.returned = 3;
  EXPECT_EQ(wrong({a, none}), "an operation came before one that had returned when it was called");
}

TEST(Additions, WhatCannotBeToldApartIsRefused) {
  for (const auto& history :
       std::vector<std::vector<Operation>>{{append("a", 1, 1, 0, 1)},
                                           {append("a;b;", 1, 1, 0, 1)},
                                           {append("a;", 1, 2, 0, 1), append("a;", 2, 4, 0, 1)},
                                           {increment("2", 1, 2, 0, 1)},
                                           {increment("-4", 1, 2, 0, 1)},
                                           {append("a;", 1, 2, 0, 1), increment("4", 2, 4, 0, 1)},
                                           {change(1, 5, 6, 0, 1)}}) {
    const std::vector<Operation> one(history);
    EXPECT_EQ(check(one).code(), Code::invalid);
  }
}

}  // namespace
}  // namespace scalio::linearizability
