#include "ycsb/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace scalio::ycsb {
namespace {

using nlohmann::json;

Phase phase() {
  Phase p;
  p.seconds = 2;
  p.tally.operations = 1000;
  p.tally.gets = 800;
  p.tally.writes = 200;
  p.tally.counters.gets = 800;
  p.tally.counters.hits = 600;
  p.tally.counters.misses = 200;
  p.tally.counters.ssd_reads = 210;
  p.tally.counters.region_bytes_read = 800'000;
  p.tally.latency[static_cast<std::size_t>(Timed::get)].record(1500);
  p.server.process_cpu_us = 3000;
  p.server.nic_cpu_us = 1000;
  p.server.target_cpu_us = 500;
  p.server.ssd_writes = 50;
  return p;
}

Report report() {
  Report r;
  r.workload = *load_workload("a");
  r.workload.records = 77;
  r.server = "unix:/s";
  r.server_stat = R"({"pid": 12})";
  r.threads = 2;
  r.depth = 8;
  r.run = phase();
  return r;
}

TEST(Report, HasTheNamesThatScriptsRelyOn) {
  json j = json::parse(to_json(report()));
  EXPECT_EQ(j["workload"], "a");
  EXPECT_EQ(j["records"], 77);
  EXPECT_EQ(j["operations"], 1000);
  EXPECT_EQ(j["seconds"], 2.0);
  EXPECT_EQ(j["throughput"], 500.0);
  EXPECT_EQ(j["latency_us"]["get"]["p50"], 1.5);
  EXPECT_EQ(j["latency_us"]["get"]["p99"], 1.5);
  EXPECT_EQ(j["latency_us"]["get"]["p99.9"], 1.5);
  EXPECT_EQ(j["cache_hit_ratio"], 0.75);
  EXPECT_EQ(j["ssd_reads_per_get_miss"], 1.05);
  EXPECT_EQ(j["ssd_writes_per_put"], 0.25);
  EXPECT_EQ(j["server_cpu_us_per_op"], 2.0);
  EXPECT_EQ(j["nic_cpu_us_per_op"], 1.0);
  EXPECT_EQ(j["target_cpu_us_per_op"], 0.5);
  EXPECT_EQ(j["hits"], 600);
  EXPECT_EQ(j["misses"], 200);
  EXPECT_EQ(j["errors"], 0);
  EXPECT_EQ(j["config"]["server"], "unix:/s");
  EXPECT_EQ(j["config"]["depth"], 8);
  EXPECT_EQ(j["server"]["pid"], 12);
}

TEST(Report, WhatHasNoMeaningIsNull) {
  Report r = report();
  r.run->tally = Tally();
  r.run->tally.operations = 1000;
  r.run->server = ServerCounters();
  r.server_stat.clear();
  json j = json::parse(to_json(r));
  for (const char* name : {"cache_hit_ratio", "ssd_reads_per_get_miss", "ssd_writes_per_put",
                           "server_cpu_us_per_op", "nic_cpu_us_per_op", "target_cpu_us_per_op",
                           "region_bytes_per_hit", "load", "stopped", "server"}) {
    ASSERT_TRUE(j.contains(name)) << name;
    EXPECT_TRUE(j[name].is_null()) << name;
  }
  for (const char* name : {"get", "put", "cput", "delete", "rmw"}) {
    ASSERT_TRUE(j["latency_us"].contains(name)) << name;
    EXPECT_TRUE(j["latency_us"][name].is_null()) << name;
  }
}

TEST(Report, BytesPerHitNeedAlmostOnlyHits) {
  Phase p = phase();
  EXPECT_FALSE(Figures(p).region_bytes_per_hit);
  p.tally.counters.misses = 8;
  p.tally.counters.hits = 792;
  EXPECT_NEAR(*Figures(p).region_bytes_per_hit, 800'000.0 / 792, 1e-9);
}

TEST(Report, LoadWithoutARun) {
  Report r = report();
  r.load = phase();
  r.load->tally.errors = 3;
  r.run.reset();
  json j = json::parse(to_json(r));
  EXPECT_TRUE(j["throughput"].is_null());
  EXPECT_TRUE(j["seconds"].is_null());
  EXPECT_EQ(j["load"]["records"], 77);
  EXPECT_EQ(j["load"]["throughput"], 498.5);
  EXPECT_EQ(j["load"]["errors"], 3);
  EXPECT_EQ(j["errors"], 3);
}

TEST(Report, ErrorsAreTheSumOfTheirKinds) {
  Report r = report();
  r.load = phase();
  r.load->tally.errors = 3;
  r.load->tally.errors_by_code = {{"full", 3}};
  r.run->tally.errors = 2;
  r.run->tally.errors_by_code = {{"full", 1}, {"unavailable", 1}};
  r.load->tally.error_messages = {{"full", "no room"}};
  r.run->tally.error_messages = {{"full", "no room again"}, {"unavailable", "another SSD"}};
  r.run->stopped = "the server is gone";
  json j = json::parse(to_json(r));
  EXPECT_EQ(j["errors"], 5);
  EXPECT_EQ(j["errors_by_code"], (json{{"full", 4}, {"unavailable", 1}}));
  // What was expected and what is there is not told by a code.
  EXPECT_EQ(j["error_messages"], (json{{"full", "no room"}, {"unavailable", "another SSD"}}));
  EXPECT_NE(to_table(r).find("another SSD"), std::string::npos);
  EXPECT_EQ(j["load"]["errors"], 3);
  EXPECT_EQ(j["load"]["errors_by_code"], (json{{"full", 3}}));
  EXPECT_EQ(j["stopped"], "the server is gone");
  EXPECT_NE(to_table(r).find("the server is gone"), std::string::npos);
}

TEST(Figures, CountOnlyWhatSucceeded) {
  Phase p = phase();
  p.tally.errors = 400;
  EXPECT_EQ(*Figures(p).throughput, 300);
}

TEST(Figures, MissesThatReadNothingTellNothing) {
  Phase p = phase();
  p.tally.counters.hits = 0;
  p.tally.counters.ssd_reads = 0;
  EXPECT_FALSE(Figures(p).cache_hit_ratio);
  EXPECT_FALSE(Figures(p).ssd_reads_per_get_miss);
}

TEST(Figures, OtherClientsWritesSpoilTheServers) {
  Phase p = phase();
  p.server.writes = 202;  // 200 and 1 %
  EXPECT_EQ(*Figures(p).ssd_writes_per_put, 0.25);
  EXPECT_TRUE(Figures(p).no_server_figures.empty());
  p.server.writes = 203;
  EXPECT_FALSE(Figures(p).ssd_writes_per_put);
  EXPECT_FALSE(Figures(p).server_cpu_us_per_op);
  EXPECT_FALSE(Figures(p).nic_cpu_us_per_op);
  Report r = report();
  r.run = p;
  EXPECT_NE(to_table(r).find("203 writes, of which this run sent 200"), std::string::npos)
      << to_table(r);
}

TEST(Report, TableSaysTheSame) {
  std::string table = to_table(report());
  EXPECT_NE(table.find("workload a, 77 records"), std::string::npos);
  EXPECT_NE(table.find("500.0 /s"), std::string::npos);
  EXPECT_NE(table.find("p50 1.500  p99 1.500  p99.9 1.500"), std::string::npos);
  EXPECT_NE(table.find("0.750"), std::string::npos);
  EXPECT_EQ(table.find("put latency"), std::string::npos);
}

TEST(Tally, Merges) {
  Tally a = phase().tally;
  Tally b = phase().tally;
  a.errors_by_code["io_error"] = 1;
  b.errors_by_code["io_error"] = 2;
  b.errors_by_code["corrupt"] = 3;
  a.merge(b);
  EXPECT_EQ(a.operations, 2000U);
  EXPECT_EQ(a.counters.ssd_reads, 420U);
  EXPECT_EQ(a.latency[static_cast<std::size_t>(Timed::get)].count(), 2U);
  EXPECT_EQ(a.errors_by_code["io_error"], 3U);
  EXPECT_EQ(a.errors_by_code["corrupt"], 3U);
}

TEST(ServerCounters, AreReadFromTheStatistics) {
  ServerCounters c = ServerCounters::parse(
      R"({"process_cpu_us": 10, "nic_cpu_us": 0, "ssd_writes": 7, "ssd_reads": "many", "other": 1,
          "pid": 4, "target_cpu_us": 6, "started_unix_ms": 5,
          "shards": [{"writes": {"puts": 1, "deletes": 2, "in_flight": 9}},
                     {"writes": {"conditional_puts": 4, "conflicts": 8}}, 3]})");
  EXPECT_EQ(c.pid, 4U);
  EXPECT_EQ(c.started_unix_ms, 5U);
  EXPECT_EQ(c.writes, 15U);
  EXPECT_EQ(c.process_cpu_us, 10U);
  EXPECT_EQ(c.nic_cpu_us, 0U);
  EXPECT_EQ(c.target_cpu_us, 6U);
  EXPECT_EQ(c.ssd_writes, 7U);
  EXPECT_FALSE(c.ssd_reads);
  EXPECT_FALSE(ServerCounters::parse("no JSON").process_cpu_us);
  EXPECT_FALSE(ServerCounters::parse("[1]").process_cpu_us);
}

TEST(ServerCounters, DifferencesNeedBothAndOneServer) {
  ServerCounters before{
      .process_cpu_us = 10, .nic_cpu_us = 5, .ssd_reads = std::nullopt, .ssd_writes = 100};
  ServerCounters after{.process_cpu_us = 25, .nic_cpu_us = 5, .ssd_reads = 9, .ssd_writes = 3};
  ServerCounters added = after.since(before);
  EXPECT_EQ(added.process_cpu_us, 15U);
  EXPECT_EQ(added.nic_cpu_us, 0U);
  EXPECT_FALSE(added.ssd_reads);
  EXPECT_FALSE(added.ssd_writes);

  // A restarted server has counted from 0, and may have come further than the one before.
  before.pid = after.pid = 7;
  before.started_unix_ms = 1000;
  after.started_unix_ms = 2000;
  EXPECT_FALSE(after.since(before).process_cpu_us);
  after.started_unix_ms = 1000;
  EXPECT_EQ(after.since(before).process_cpu_us, 15U);
  after.pid = 8;
  EXPECT_FALSE(after.since(before).process_cpu_us);
}

}  // namespace
}  // namespace scalio::ycsb
