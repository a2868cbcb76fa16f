#include "cli/stat_table.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// Few bytes of a server may be many cells: each of these objects has a name of its own.
TEST(StatTable, ATableHasABoundedNumberOfCells) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (int i = 0; i < 3000; ++i) columns.push_back({{std::to_string(i), i}});
  const std::string shown = stat_table({{"shards", columns}, {"total", 5}});
  EXPECT_EQ(shown.substr(0, 22), "total  5\n\nshards\n0    ");
  EXPECT_LT(std::ranges::count(shown, '\n'), 400);
  EXPECT_NE(shown.find("\n... and more than a table holds: `--json` has it\n"), std::string::npos);
}

TEST(StatTable, LongNamesAndValuesAreCut) {
  nlohmann::ordered_json stat;
  stat[std::string(1'000, 'n')] = 1;
  stat["long"] = std::string(1'000'000, 'v');
  for (int i = 0; i < 1'000; ++i) stat["inside"][std::to_string(i)] = i;
  const std::string shown = stat_table(stat);
  EXPECT_LT(shown.size(), 5'000'000U);
  EXPECT_NE(shown.find(std::string(256, 'n') + " "), std::string::npos);
  EXPECT_NE(shown.find(std::string(4096, 'v') + "...\n"), std::string::npos);
  EXPECT_NE(shown.find("\ninside.999 "), std::string::npos);
}

// A long value widens its column in each line.
TEST(StatTable, AllTablesTogetherHaveABound) {
  nlohmann::ordered_json shards = nlohmann::ordered_json::array();
  for (int i = 0; i < 8; ++i) shards.push_back({{"long", std::string(4096, 'v')}});
  for (int i = 0; i < 2'500; ++i) shards[0][std::to_string(i)] = i;
  const std::string shown = stat_table({{"shards", shards}, {"total", 5}});
  EXPECT_LT(shown.size(), std::size_t{65} << 20);
  EXPECT_GT(shown.size(), std::size_t{60} << 20);
  EXPECT_NE(shown.find("... and more than a table holds"), std::string::npos);
}

}  // namespace
}  // namespace scalio::cli
