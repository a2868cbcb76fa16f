#include "eval/kv_run.h"

#include <gtest/gtest.h>

#include "testing/fake_kv_session.h"

namespace scalio::eval {
namespace {

void no_progress(const KvProgress&) {}

class KvRunTest : public ::testing::Test {
 protected:
  // 300 records, 1,000 operations of two threads.
  KvRunOptions options(const std::string& workload) {
    KvRunOptions o;
    o.workload = *ycsb::load_workload(workload);
    o.workload.records = 300;
    o.workload.operations = 1000;
    o.load = true;
    o.threads = 2;
    o.depth = 8;
    o.connect = [this](std::uint32_t thread) -> Result<std::unique_ptr<KvSession>> {
      return std::unique_ptr<KvSession>(new FakeKvSession(store_, thread));
    };
    return o;
  }
  KvReport run_well(const KvRunOptions& o) {
    Result<KvReport> report = run(o, no_progress);
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    return report.ok() ? *std::move(report) : KvReport();
  }

  FakeKvStore store_;
};

TEST_F(KvRunTest, LoadsAllRecordsAndThenRuns) {
  const KvReport report = run_well(options("a"));
  ASSERT_TRUE(report.load && report.run);
  EXPECT_EQ(report.load->tally.puts, 300U);
  EXPECT_EQ(store_.records.size(), 300U);
  const KvTally& tally = report.run->tally;
  EXPECT_EQ(tally.operations, 1000U);
  EXPECT_EQ(tally.errors, 0U);
  EXPECT_EQ(tally.gets + tally.puts, 1000U);
  EXPECT_NEAR(static_cast<double>(tally.gets), 500, 100);
  EXPECT_EQ(tally.latency.count(), 1000U);
  EXPECT_EQ(tally.counters.gets, tally.gets);
  EXPECT_EQ(report.run->stopped, "");
}

TEST_F(KvRunTest, AReadModifyWriteIsOneOperation) {
  const KvReport report = run_well(options("f"));
  EXPECT_EQ(report.run->tally.operations, 1000U);
  EXPECT_EQ(report.run->tally.gets, 1000U);
  EXPECT_NEAR(static_cast<double>(report.run->tally.puts), 500, 100);
  EXPECT_EQ(report.run->tally.latency.count(), 1000U);
}

TEST_F(KvRunTest, WhatDInsertsIsFound) {
  const KvReport report = run_well(options("d"));
  EXPECT_EQ(report.run->tally.errors, 0U);
  EXPECT_EQ(store_.records.size(), 300 + report.run->tally.puts);
  EXPECT_GT(report.run->tally.puts, 10U);
}

TEST_F(KvRunTest, WarmingUpIsNotMeasured) {
  KvRunOptions o = options("c");
  o.warm_up = 500;
  const KvReport report = run_well(o);
  EXPECT_EQ(report.run->tally.gets, 1000U);
  EXPECT_EQ(store_.gets[0].size() + store_.gets[1].size(), 1500U);
}

TEST_F(KvRunTest, ThreadsChooseOtherKeysAndTheSeedChoosesAllOfThem) {
  run_well(options("c"));
  const auto first = store_.gets;
  EXPECT_NE(first.at(0), first.at(1));
  store_.gets.clear();
  run_well(options("c"));
  EXPECT_EQ(store_.gets, first);
  store_.gets.clear();
  KvRunOptions other = options("c");
  other.seed = 2;
  run_well(other);
  EXPECT_NE(store_.gets.at(0), first.at(0));
}

TEST_F(KvRunTest, ARecordThatWasLostIsAnError) {
  store_.loses = "user000000000007";
  KvRunOptions o = options("c");
  o.workload.distribution = ycsb::Distribution::uniform;
  const KvReport report = run_well(o);
  EXPECT_EQ(report.load->tally.errors, 0U);
  const KvTally& tally = report.run->tally;
  EXPECT_GT(tally.errors, 0U);
  EXPECT_EQ(tally.errors_by_code.at("not_found"), tally.errors);
  EXPECT_EQ(tally.gets + tally.errors, 1000U);
  EXPECT_EQ(tally.latency.count(), tally.gets);
}

TEST_F(KvRunTest, AValueOfAnotherRecordIsAnError) {
  KvRunOptions o = options("c");
  o.workload.operations = 50;
  store_.stale = "000000000999-and so on";
  const KvReport report = run_well(o);
  EXPECT_EQ(report.run->tally.errors_by_code.at("wrong_value"), 50U);
}

TEST_F(KvRunTest, AServerThatIsGoneEndsTheRun) {
  store_.answers = 500;  // 300 records, and 200 operations
  KvRunOptions o = options("a");
  o.workload.operations = 1'000'000;
  const KvReport report = run_well(o);
  EXPECT_EQ(report.run->tally.operations - report.run->tally.errors, 200U);
  EXPECT_LT(report.run->tally.errors, 1000U);
  EXPECT_NE(report.run->stopped.find("the server is gone"), std::string::npos);
}

TEST_F(KvRunTest, NothingIsMeasuredOfAStoreThatDidNotLoad) {
  store_.answers = 0;
  const KvReport report = run_well(options("a"));
  EXPECT_NE(report.load->stopped, "");
  EXPECT_FALSE(report.run);
}

TEST_F(KvRunTest, OptionsOutOfRangeAndWhoCannotConnectAreRefused) {
  KvRunOptions o = options("a");
  o.workload.value_size = 5;
  EXPECT_EQ(run(o, no_progress).code(), Code::invalid);
  o = options("a");
  o.key_size = 6;  // 100 records have names
  EXPECT_EQ(run(o, no_progress).code(), Code::invalid);
  o = options("a");
  o.connect = [this](std::uint32_t thread) -> Result<std::unique_ptr<KvSession>> {
    if (thread == 1) return Status(Code::busy, "too many");
    return std::unique_ptr<KvSession>(new FakeKvSession(store_, thread));
  };
  EXPECT_EQ(run(o, no_progress).code(), Code::busy);
}

}  // namespace
}  // namespace scalio::eval
