#include "base/json.h"

#include <gtest/gtest.h>

namespace scalio {
namespace {

TEST(JsonText, HoldsWhateverBytes) {
  EXPECT_EQ(json_text(nlohmann::json{{"path", "caf\xe9"}}), "{\"path\":\"caf\xef\xbf\xbd\"}");
  EXPECT_EQ(json_text(nlohmann::json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

}  // namespace
}  // namespace scalio
