#include "redis/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace scalio::redis {
namespace {

TEST(Glob, MatchesAsRedisDoes) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("user:*", "user:1"));
  EXPECT_FALSE(matches_glob("user:*", "users"));
  EXPECT_TRUE(matches_glob("h?llo", "hello"));
  EXPECT_FALSE(matches_glob("h?llo", "hllo"));
  EXPECT_TRUE(matches_glob("h[ae]llo", "hallo"));
  EXPECT_FALSE(matches_glob("h[^ae]llo", "hallo"));
  EXPECT_TRUE(matches_glob("[c-a]*", "b1"));
  EXPECT_FALSE(matches_glob("[a-c]", "d"));
  EXPECT_TRUE(matches_glob("\\*x", "*x"));
  EXPECT_FALSE(matches_glob("\\*x", "ax"));
  EXPECT_TRUE(matches_glob("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_glob("a*b*c", "a-b-b-d"));
  EXPECT_TRUE(matches_glob("[ab", "a"));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_TRUE(matches_glob("**", "a"));
}

TEST(Glob, EndsSoonWhateverThePattern) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(matches_glob(pattern + "b", std::string(255, 'a')));
}

}  // namespace
}  // namespace scalio::redis
