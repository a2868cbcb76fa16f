#include "cli/stat_table.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace scalio::cli {
namespace {

std::string table(const char* json) { return stat_table(nlohmann::ordered_json::parse(json)); }

TEST(StatTable, ValuesHaveALineEach) {
  const char* json = R"({"version": "0.1.0", "ratio": 0.5, "log": {"used": 12, "on": true},
                         "failure": null})";
  EXPECT_EQ(table(json),
            "version   0.1.0\n"
            "ratio     0.500\n"
            "log.used     12\n"
            "log.on     true\n"
            "failure       -\n");
}

TEST(StatTable, ObjectsInAnArrayHaveAColumnEach) {
  const char* json = R"({"shards": [{"shard": 0, "log": {"used": 1234}},
                                    {"shard": 1, "extra": "x"}], "total": 5})";
  EXPECT_EQ(table(json),
            "total  5\n"
            "\n"
            "shards\n"
            "shard        0  1\n"
            "log.used  1234  -\n"
            "extra        -  x\n");
}

TEST(StatTable, EmptyStaysEmpty) {
  EXPECT_EQ(table("{}"), "");
  EXPECT_EQ(table(R"({"shards": []})"), "shards  []\n");
}

}  // namespace
}  // namespace scalio::cli
