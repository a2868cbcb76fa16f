#include "server/slow_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace scalio::server {
namespace {

layout::Request put(std::string_view key) {
  layout::Request request;
  request.kind = layout::RequestKind::put;
  request.key = key;
  request.value = "value";
  return request;
}

TEST(SlowLog, KeepsWhatTookAsLongAsTheThreshold) {
  SlowLog log(kMillisecond);
  log.write_ended(put("quick"), Code::ok, kMillisecond - 1);
  log.write_ended(put("slow"), Code::full, kMillisecond);
  const nlohmann::json json = log.to_json();
  EXPECT_EQ(json["threshold_us"], 1000);
  EXPECT_EQ(json["seen"], 1);
  ASSERT_EQ(json["operations"].size(), 1u);
  const nlohmann::json& one = json["operations"][0];
  EXPECT_EQ(one["key"], "slow");
  EXPECT_EQ(one["operation"], "put");
  EXPECT_EQ(one["outcome"], "full");
  EXPECT_EQ(one["value_bytes"], 5);
  EXPECT_EQ(one["us"], 1000);
  log.set_threshold(2 * kMillisecond);
  log.write_ended(put("quick now"), Code::ok, kMillisecond);
  EXPECT_EQ(log.to_json()["seen"], 1);
  EXPECT_EQ(log.to_json()["threshold_us"], 2000);
}

TEST(SlowLog, KeepsTheLastAndOfThemTheFirstBytesOfTheKey) {
  SlowLog log(0);
  constexpr std::size_t kAll = SlowLog::kKept + 3;
  for (std::size_t i = 0; i < kAll; ++i)
    log.write_ended(put(std::to_string(i) + std::string(200, 'x')), Code::ok, 0);
  const nlohmann::json json = log.to_json();
  EXPECT_EQ(json["seen"], kAll);
  ASSERT_EQ(json["operations"].size(), SlowLog::kKept);
  for (std::size_t i = 0; i < SlowLog::kKept; ++i) {
    const std::string key = json["operations"][i]["key"];
    EXPECT_EQ(key.substr(0, key.find('x')), std::to_string(i + 3));
    EXPECT_EQ(key.size(), SlowLog::kKeyKept);
    EXPECT_GT(json["operations"][i]["key_bytes"], 200);
  }
}

}  // namespace
}  // namespace scalio::server
