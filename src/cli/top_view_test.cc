#include "cli/top_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace scalio::cli {
namespace {

using nlohmann::json;

json stat(double puts, double hits) {
  return json{{"pid", 7},
              {"started_unix_ms", 1000},
              {"uptime_seconds", 90'061},
              {"rss_bytes", 123'456'789},
              {"hits", hits},
              {"misses", hits / 4},
              {"process_cpu_us", hits},
              {"lanes",
               {{{"lane", 0},
                 {"clients", 3},
                 {"cpu_us", hits / 2},
                 {"wall_us", hits},
                 {"shards", {0, 1}}}}},
              {"shards",
               {{{"device", "/dev/a"},
                 {"writes",
                  {{"puts", puts},
                   {"appends", puts / 4},
                   {"end_changes", puts / 4},
                   {"in_flight", 2},
                   {"refused_full", puts / 100}}},
                 {"records", {{"count", puts}, {"bytes", 300 * puts}, {"free_bytes", 100 * puts}}},
                 {"recent", {{"write_p50_us", 120.4}, {"write_p99_us", 3500}}},
                 {"log", {{"batches", puts / 10}, {"used", 30}, {"size", 100}}},
                 {"ssd", {{"reads", 2 * puts}, {"bytes_written", 1000 * puts}}}},
                {{"device", "/dev/a"},
                 {"writes", {{"puts", puts}}},
                 {"recent", {{"write_p50_us", nullptr}, {"write_p99_us", 900}}},
                 {"full", true}},
                {{"device", "/dev/b"}, {"writes", {{"puts", 0}}}}}}};
}

TEST(TopView, ShowsWhatHappenedMeanwhile) {
  EXPECT_EQ(top_view("unix:/run/scalio.sock", stat(1000, 1e6), stat(3000, 5e6), 2),
            "scalio  unix:/run/scalio.sock         up 1 d 01:01:01  clients 3  rss 123MB\n"
            "GETs     2.5M/s   hits  80.0 %   misses   500K/s\n"
            "PUTs     2.5K/s   25.0 a log batch   2 in flight\n"
            "CPU      2.00 cores of the server, 0.00 of it the NIC stand-in; NVMe target 0.00\n"
            "\n"
            "lane  busy                          clients  shards\n"
            "   0  [##########..........]  50 %        3  0 1 \n"
            "\n"
            "SSD   reads/s writes/s    read  written  merged/s   dirty  log\n"
            "  0      2.0K        0      0B/s   1.0MB/s       0       0   30 %  FULL\n"
            "  1         0        0      0B/s      0B/s       0       0    0 %  \n"
            "\n"
            "SSD   records    used  full                          PUT p50       p99 refused/s\n"
            "  0      3.0K   900KB  [###############.....]  75 %   120us     3.5ms        10\n"
            "  1         0      0B  [....................]   0 %       -         -         0\n");
}

TEST(TopView, LatenciesHaveTheUnitOfTheirSize) {
  for (const auto& [us, text] : std::vector<std::pair<double, std::string>>{{0.4, " 0us "},
                                                                            {999, " 999us "},
                                                                            {1000, " 1.0ms "},
                                                                            {30'400, " 30.4ms "},
                                                                            {250'000, " 250ms "},
                                                                            {1.5e6, " 1.5s "}}) {
    json after = stat(3000, 5e6);
    after["shards"][0]["recent"]["write_p99_us"] = us;
    after["shards"][1]["recent"]["write_p99_us"] = nullptr;
    EXPECT_NE(top_view("s", stat(1000, 1e6), after, 2).find(text), std::string::npos) << text;
  }
}

TEST(FitRows, TheFirstLinesAreShownAndTheOthersCounted) {
  const std::string view = "a\nb\nc\nd\n";
  EXPECT_EQ(fit_rows(view, 5), view);
  EXPECT_EQ(fit_rows(view, 100), view);
  EXPECT_EQ(fit_rows(view, 4), "a\nb\n... 2 more lines: a higher window has them\n");
  EXPECT_EQ(fit_rows(view, 2), "... 4 more lines: a higher window has them\n");
  EXPECT_EQ(fit_rows(view, 0), view) << "a terminal that does not say how high it is";
}

TEST(TopView, ShowsLargeValuesWhereThereMayBeAny) {
  json before = stat(1000, 1e6), after = stat(3000, 5e6);
  for (json* j : {&before, &after}) {
    (*j)["shards"][0]["values"] = {{"live_bytes", 3'000'000},    {"dead_bytes", 500'000},
                                   {"free_bytes", 400},          {"usable_bytes", 4'000'000},
                                   {"bytes_written", 1'000'000}, {"full", false}};
  }
  after["shards"][0]["values"]["bytes_written"] = 5'000'000;
  after["shards"][0]["values"]["bytes_moved"] = 30'000;
  after["shards"][2]["values"]["full"] = true;
  const std::string view = top_view("s", before, after, 2);
  EXPECT_NE(view.find("SSD     live    dead    free  full of large values           written     "
                      "moved\n"
                      "  0    3.0MB   500KB    400B  [###############.....]  75 %   2.0MB/s  "
                      "15.0KB/s\n"
                      "  1       0B      0B      0B  [....................]   0 %      0B/s      "
                      "0B/s\n"),
            std::string::npos)
      << view;
  EXPECT_NE(view.find("0 %  VALUES FULL\n"), std::string::npos) << view;
}

TEST(TopView, ARestartedServerCountsFromItsStart) {
  json after = stat(3000, 4e6);
  after["pid"] = 8;
  EXPECT_NE(top_view("s", stat(9000, 9e6), after, 1).find("GETs     5.0M/s"), std::string::npos);
}

// Whatever the server says, it is shown in 80 columns.
TEST(TopView, OddStatisticsAreShown) {
  for (const json& odd : {json(), json::array(), json("text"), json{{"lanes", 3}, {"shards", {1}}},
                          json{{"shards", {{{"device", 5}, {"ssd", "none"}}}}}}) {
    std::istringstream lines(top_view(std::string(300, 'x'), odd, odd, 0));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

// Sums of these are infinite, and their ratios are no numbers.
TEST(TopView, FiguresOfAnySizeAreShown) {
  for (const double huge : {1e308, 1.8e19, -1e308}) {
    const json shard = {
        {"device", "/dev/a"},
        {"ssd", {{"reads", huge}, {"bytes_read", huge}}},
        {"log", {{"used", huge}, {"size", huge}}},
        {"records", {{"count", huge}, {"bytes", huge}, {"free_bytes", huge}}},
        {"recent", {{"write_p50_us", huge}, {"write_p99_us", huge}}},
        {"values", {{"live_bytes", huge}, {"usable_bytes", huge}, {"bytes_written", huge}}}};
    const json lane = {{"lane", huge}, {"clients", huge}, {"cpu_us", huge}, {"wall_us", huge}};
    const json after = {
        {"pid", huge},    {"uptime_seconds", huge}, {"rss_bytes", huge},       {"hits", huge},
        {"misses", huge}, {"lanes", {lane, lane}},  {"shards", {shard, shard}}};
    const std::string view = top_view("s", json::object(), after, 0);
    std::istringstream lines(view);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
    EXPECT_NE(view.find(huge > 0 ? "999P" : "rss 0B"), std::string::npos) << view;
    EXPECT_EQ(view.find("nan"), std::string::npos) << view;
  }
}

}  // namespace
}  // namespace scalio::cli
