#include "redis/parse_number.h"

#include <gtest/gtest.h>

namespace scalio::redis {
namespace {

TEST(ParseNumber, TakesFiniteFloats) {
  EXPECT_EQ(parse_float("10.5"), 10.5L);
  EXPECT_EQ(parse_float("-3e2"), -300.0L);
  for (const char* text : {"", "abc", " 1", "1x", "inf", "nan"}) {
    EXPECT_EQ(parse_float(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace scalio::redis
