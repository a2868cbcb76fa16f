#include "base/json.h"

#include <gtest/gtest.h>

namespace scalio {
namespace {

TEST(JsonText, HoldsWhateverBytes) {
  EXPECT_EQ(json_text(nlohmann::json{{"path", "caf\xe9"}}), "{\"path\":\"caf\xef\xbf\xbd\"}");
  EXPECT_EQ(json_text(nlohmann::json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

TEST(JsonText, EscapesWhatATerminalObeys) {
  const std::string odd = "\u009b31m\u202e\u200b\x7f\x1b\U000e0041\u00e9";
  const std::string text = json_text(nlohmann::json(odd));
  EXPECT_EQ(text, "\"\\u009b31m\\u202e\\u200b\\u007f\\u001b\\udb40\\udc41\u00e9\"");
  EXPECT_EQ(parse_json(text), odd);
}

TEST(ParseJson, TakesWhatIsNotTooDeep) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parse_json("{\"a\": [1, 2]}")["a"][1], 2);
  EXPECT_TRUE(parse_json("{\"a\": ").is_discarded());
  EXPECT_TRUE(parse_json("").is_discarded());
  EXPECT_TRUE(parse_json(nested(kDeepestJson)).is_array());
  for (const int depth : {kDeepestJson + 2, 65'000})
    EXPECT_TRUE(parse_json(nested(depth)).is_discarded()) << depth;
  std::string objects = "1";
  for (int i = 0; i < 1'000; ++i) objects.insert(0, "{\"a\":").append("}");
  EXPECT_TRUE(parse_json(objects).is_discarded());
}

}  // namespace
}  // namespace scalio
