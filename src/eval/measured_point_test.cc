#include "eval/measured_point.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace scalio::eval {
namespace {

// 100 operations in 2 s: 60 GETs, half of which hit, and 40 PUTs.
KvPhase some_phase(const char* before, const char* after) {
  KvPhase phase;
  phase.seconds = 2;
  phase.tally.operations = 100;
  phase.tally.gets = 60;
  phase.tally.puts = 40;
  phase.tally.counters = {.gets = 60, .hits = 30, .ssd_reads = 30, .ssd_bytes = 3000};
  for (std::uint64_t us = 1; us <= 100; ++us) phase.tally.latency.record(us * 1000);
  phase.server = ServerStat::parse(after).since(ServerStat::parse(before));
  return phase;
}

KvRunOptions some_options() {
  KvRunOptions o;
  o.workload = *ycsb::load_workload("a");
  o.threads = 2;
  o.depth = 16;
  return o;
}

constexpr char kScalioBefore[] = R"({"pid":7,"started_unix_ms":1,"process_cpu_us":100,
  "nic_cpu_us":20,"target_cpu_us":null,"ssd_reads":10,"ssd_writes":5,
  "shards":[{"ssd":{"bytes_read":100,"bytes_written":50},"cache":{"read_slots":8}},
            {"ssd":{"bytes_read":200,"bytes_written":50},"cache":{"read_slots":8}}]})";
constexpr char kScalioAfter[] = R"({"pid":7,"started_unix_ms":1,"process_cpu_us":1100,
  "nic_cpu_us":220,"target_cpu_us":null,"ssd_reads":20,"ssd_writes":45,
  "shards":[{"ssd":{"bytes_read":1100,"bytes_written":2050},"cache":{"read_slots":8}},
            {"ssd":{"bytes_read":1200,"bytes_written":2050},"cache":{"read_slots":8}}]})";

TEST(MeasuredPoint, CountsServerAndClients) {
  const Point p = measured_point("scalio", io_formula(System::scalio), some_options(),
                                 some_phase(kScalioBefore, kScalioAfter));
  EXPECT_EQ(p.throughput, 50);
  EXPECT_EQ(p.in_flight, 32U);
  EXPECT_EQ(p.ssds, 2U);
  EXPECT_EQ(p.slots, 8U);
  EXPECT_EQ(p.hit_ratio, 0.5);
  EXPECT_EQ(p.ssd_reads_per_s, 20);  // 10 of the server, 30 of clients
  EXPECT_EQ(p.ssd_writes_per_s, 20);
  EXPECT_EQ(p.ssd_ios_per_s_by_formula, 70);  // 2 for each of 30 misses and 40 PUTs
  EXPECT_EQ(p.bytes_read_per_op, 50);         // 2,000 of the server, 3,000 of clients
  EXPECT_EQ(p.bytes_written_per_op, 40);
  EXPECT_EQ(p.server_cpu_us_per_op, 8);
  EXPECT_EQ(p.stand_in_cpu_us_per_op, 2);
  EXPECT_NEAR(*p.avg_us, 50.5, 0.1);
  EXPECT_NEAR(*p.p50_us, 50, 0.1);
  EXPECT_NEAR(*p.p99_us, 99, 0.1);
}

TEST(MeasuredPoint, OfAServerThatWasRestartedSaysNothing) {
  const Point p = measured_point(
      "leed", io_formula(System::leed), some_options(),
      some_phase(R"({"pid":7,"started_unix_ms":1,"system":"leed","ssds":2,"ssd_reads":10})",
                 R"({"pid":8,"started_unix_ms":2,"system":"leed","ssds":2,"ssd_reads":20})"));
  EXPECT_EQ(p.ssds, 2U);
  EXPECT_FALSE(p.ssd_reads_per_s || p.server_cpu_us_per_op || p.bytes_read_per_op);
  EXPECT_EQ(p.ssd_ios_per_s_by_formula, 90);
}

TEST(MeasuredPoint, IsALineOfJsonWithNullForWhatIsNotKnown) {
  const std::string text =
      to_json(measured_point("scalio", std::nullopt, some_options(), some_phase("no JSON", "{}")));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json["system"], "scalio");
  EXPECT_EQ(json["simulated"], false);
  EXPECT_EQ(json["operations"], 100);
  for (const char* name :
       {"full", "ssds", "ssd_reads_per_s", "ssd_ios_per_s_by_formula", "memory_limit"}) {
    EXPECT_TRUE(json.at(name).is_null()) << name;
  }
}

TEST(MeasuredPoint, SaysWhatHeldARivalToItsMemory) {
  Point p = measured_point("redis", std::nullopt, some_options(), some_phase("no JSON", "{}"));
  p.memory_limit = "maxmemory; no control group: that takes root";
  EXPECT_EQ(nlohmann::json::parse(to_json(p))["memory_limit"], *p.memory_limit);
}

TEST(ServerStat, TakesNothingFromOtherText) {
  for (const char* text : {"", "[]", "{\"shards\":7}", "{\"system\":7,\"ssds\":-1}"}) {
    const ServerStat stat = ServerStat::parse(text);
    EXPECT_FALSE(stat.ssds || stat.ssd_bytes_read || stat.counters.pid) << text;
  }
}

}  // namespace
}  // namespace scalio::eval
