#include "cli/slow_writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace scalio::cli {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

std::string text(const char* logs) {
  return slow_writes_text(merged_slow_writes(Json::parse(logs)));
}

TEST(SlowWritesText, ShowsThoseOfAllShardsOldestFirst) {
  const Json merged = merged_slow_writes(Json::parse(
      R"([{"threshold_us": 2000, "seen": 5, "operations": [
             {"ended_unix_ms": 3000, "operation": "put", "outcome": "ok", "key": "late",
              "key_bytes": 4, "value_bytes": 7, "us": 2500}]},
          {"threshold_us": 2000, "seen": 1, "operations": [
             {"ended_unix_ms": 1000, "operation": "delete", "outcome": "full", "key": "early",
              "key_bytes": 90, "value_bytes": 0, "us": 4000}]}])"));
  EXPECT_EQ(merged["seen"], 6);
  ASSERT_EQ(merged["operations"].size(), 2U);
  EXPECT_EQ(merged["operations"][0]["shard"], 1);
  const std::string shown = slow_writes_text(merged);
  EXPECT_THAT(shown, HasSubstr("6 writes took 2 ms or longer since the start; the last of each "
                               "shard:\n"));
  EXPECT_THAT(shown, HasSubstr("      4.0 ms  delete     full      shard 1  early..., 0 bytes\n"));
  EXPECT_THAT(shown, HasSubstr("      2.5 ms  put        ok        shard 0  late, 7 bytes\n"));
  EXPECT_LT(shown.find("early"), shown.find("late"));
}

// A server may say anything. Each of these has ended the program before.
TEST(SlowWritesText, OddLogsAreShown) {
  EXPECT_EQ(text(R"([{"operations": [5, "x", null, []]}])"),
            "0 writes took 0 ms or longer since the start\n");
  EXPECT_EQ(text(R"([{"operations": [], "seen": "x", "threshold_us": [1]}])"),
            "0 writes took 0 ms or longer since the start\n");
  EXPECT_THAT(text(R"([{"operations": [{"ended_unix_ms": "x"}]}])"), HasSubstr("shard 0"));
  EXPECT_THAT(text(R"([{"operations": [{"key": 7, "operation": {}, "outcome": [], "us": "x",
                                        "key_bytes": -1, "value_bytes": 1e300}]}])"),
              HasSubstr("shard 0  , 9200000000000000000 bytes\n"));
  for (const char* time : {"18446744073709551615", "99999999999999999", "-1", "1e308"}) {
    const std::string logs =
        std::string(R"([{"operations": [{"key": "k", "ended_unix_ms": )") + time + "}]}]";
    EXPECT_THAT(text(logs.c_str()), HasSubstr("shard 0  k, 0 bytes\n")) << time;
  }
  EXPECT_THAT(text(R"([{"operations": [{"key": "\u001b[2J", "outcome": "\n"}]}])"),
              HasSubstr("\\x0a      shard 0  \\x1b[2J, 0 bytes\n"));
}

TEST(SlowWritesText, OfAShardTheNewestAreTaken) {
  Json log;
  log["operations"] = Json::array();
  for (int i = 0; i < 5000; ++i) log["operations"].push_back({{"ended_unix_ms", i}});
  const Json merged = merged_slow_writes(Json::array({log}));
  ASSERT_EQ(merged["operations"].size(), 1024U);
  EXPECT_EQ(merged["operations"][0]["ended_unix_ms"], 5000 - 1024);
}

}  // namespace
}  // namespace scalio::cli
