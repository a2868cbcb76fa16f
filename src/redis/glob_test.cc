#include "redis/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace scalio::redis {
namespace {

TEST(Glob, MatchesAsRedisDoes) {
  EXPECT_TRUE(Glob("*").matches(""));
  EXPECT_TRUE(Glob("user:*").matches("user:1"));
  EXPECT_FALSE(Glob("user:*").matches("users"));
  EXPECT_TRUE(Glob("h?llo").matches("hello"));
  EXPECT_FALSE(Glob("h?llo").matches("hllo"));
  EXPECT_TRUE(Glob("h[ae]llo").matches("hallo"));
  EXPECT_FALSE(Glob("h[^ae]llo").matches("hallo"));
  EXPECT_TRUE(Glob("[c-a]*").matches("b1"));
  EXPECT_FALSE(Glob("[a-c]").matches("d"));
  EXPECT_TRUE(Glob("\\*x").matches("*x"));
  EXPECT_FALSE(Glob("\\*x").matches("ax"));
  EXPECT_TRUE(Glob("a*b*c").matches("a-b-b-c"));
  EXPECT_FALSE(Glob("a*b*c").matches("a-b-b-d"));
  EXPECT_TRUE(Glob("[ab").matches("a"));
  EXPECT_FALSE(Glob("").matches("a"));
  EXPECT_TRUE(Glob("**").matches("a"));
  EXPECT_TRUE(Glob("[\\]a]b").matches("]b"));
  EXPECT_TRUE(Glob("[^").matches("a"));
  EXPECT_FALSE(Glob("[").matches("a"));
  EXPECT_TRUE(Glob("a\\").matches("a\\"));
  EXPECT_TRUE(Glob("[\x80-\xff]").matches("\xc3"));
  EXPECT_FALSE(Glob("a?").matches("a"));
}

TEST(Glob, EndsSoonWhateverThePattern) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(Glob(pattern + "b").matches(std::string(255, 'a')));
}

}  // namespace
}  // namespace scalio::redis
