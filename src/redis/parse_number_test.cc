#include "redis/parse_number.h"

#include <gtest/gtest.h>

#include <limits>

namespace scalio::redis {
namespace {

TEST(ParseNumber, TakesFiniteFloats) {
  EXPECT_EQ(parse_float("10.5"), 10.5L);
  EXPECT_EQ(parse_float("-3e2"), -300.0L);
  for (const char* text : {"", "abc", " 1", "1x", "inf", "nan"}) {
    EXPECT_EQ(parse_float(text), std::nullopt) << text;
  }
}

TEST(ParseNumber, WritesFloatsSoThatTheyAreTakenAgain) {
  EXPECT_EQ(float_text(10.5L), "10.5");
  EXPECT_EQ(float_text(-0.0L), "0");
  EXPECT_EQ(float_text(5000), "5000");
  EXPECT_EQ(float_text(0x1p100L), "1267650600228229401496703205376");
  constexpr long double kLargest = std::numeric_limits<long double>::max();
  for (const long double number : {1e22L, 1e100L, 1e308L, -1e308L, 1e4000L, kLargest}) {
    const std::string text = float_text(number);
    EXPECT_NE(text[text[0] == '-' ? 1 : 0], '0') << text;
    EXPECT_EQ(parse_float(text), number) << text;
  }
}

}  // namespace
}  // namespace scalio::redis
