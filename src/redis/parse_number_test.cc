#include "redis/parse_number.h"

#include <gtest/gtest.h>

namespace scalio::redis {
namespace {

TEST(ParseNumber, TakesIntegersAsRedisWritesThem) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_integer("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", "-", "+1", " 1", "1 ", "01", "-0", "1.0", "9223372036854775808"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
}

TEST(ParseNumber, TakesFiniteFloats) {
  EXPECT_EQ(parse_float("10.5"), 10.5L);
  EXPECT_EQ(parse_float("-3e2"), -300.0L);
  for (const char* text : {"", "abc", " 1", "1x", "inf", "nan"}) {
    EXPECT_EQ(parse_float(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace scalio::redis
