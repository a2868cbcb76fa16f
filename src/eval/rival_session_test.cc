#include "eval/rival_session.h"

#include <gtest/gtest.h>

#include "eval/kv_run.h"
#include "eval/measured_point.h"

namespace scalio::eval {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

KvRunOptions small_run(const std::string& workload) {
  KvRunOptions o;
  o.workload = *ycsb::load_workload(workload);
  o.workload.records = 2000;
  o.workload.operations = 4000;
  o.workload.value_size = 1000;
  o.load = true;
  o.threads = 2;
  o.depth = 16;
  return o;
}

class YcsbOnRival : public ::testing::TestWithParam<RivalRow> {
 protected:
  // Skips the test if it is not installed.
  void start(std::uint64_t memory) {
    Result<std::unique_ptr<Rival>> started = GetParam().start({.memory = memory, .in_flight = 32});
    const std::string why = started.status().message();
    if (!started.ok() && why.find("install ") != std::string::npos) GTEST_SKIP() << why;
    ASSERT_TRUE(started.ok()) << why;
    rival_ = *std::move(started);
  }
  KvReport run_on_it(KvRunOptions options) {
    options.cache = GetParam().cache;
    options.connect = [this](std::uint32_t) {
      return RivalSession::connect(*rival_, std::string(GetParam().name));
    };
    Result<KvReport> report = run(options, [](const KvProgress&) {});
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    return report.ok() ? *std::move(report) : KvReport();
  }

  std::unique_ptr<Rival> rival_;
};

TEST_P(YcsbOnRival, FindsItsRecordsAndIsMeasured) {
  start(64 * kMiB);
  if (IsSkipped()) return;
  for (const std::string workload : {"a", "c"}) {
    const KvRunOptions options = small_run(workload);
    const KvReport report = run_on_it(options);
    ASSERT_TRUE(report.run);
    EXPECT_EQ(report.run->stopped, "");
    EXPECT_EQ(report.run->tally.operations, 4000u);
    for (const auto& [code, message] : report.run->tally.error_messages) {
      ADD_FAILURE() << code << ": " << message;
    }
    const Point point =
        measured_point(std::string(GetParam().name), std::nullopt, options, *report.run);
    EXPECT_GT(point.throughput.value_or(0), 0);
    EXPECT_GT(point.server_cpu_us_per_op.value_or(0), 0);
    // All records have room in memory, though RocksDB's may be on the SSD as well.
    EXPECT_GT(point.hit_ratio.value_or(0), GetParam().cache ? 0.999 : 0.1);
  }
}

TEST_P(YcsbOnRival, InAQuarterOfTheMemoryACacheMissesAndOthersReadTheSsdOrAreFull) {
  start(16 * kMiB);
  if (IsSkipped()) return;
  KvRunOptions options = small_run("c");
  options.workload.records = 40'000;
  const KvReport report = run_on_it(options);
  const std::string name(GetParam().name);
  if (name == "redis") {
    ASSERT_TRUE(report.load);
    EXPECT_EQ(report.load->tally.error_messages.count("full"), 1u);
    EXPECT_NE(report.load->stopped, "");
    return;
  }
  ASSERT_TRUE(report.run);
  EXPECT_EQ(report.run->tally.errors, 0u);
  const Point point = measured_point(name, std::nullopt, options, *report.run);
  EXPECT_LT(point.hit_ratio.value_or(1), 0.95);
  // Of tables that are read around the page cache.
  EXPECT_TRUE(GetParam().cache || point.ssd_reads_per_s.value_or(0) > 0);
}

INSTANTIATE_TEST_SUITE_P(Rivals, YcsbOnRival, ::testing::ValuesIn(rivals()), [](const auto& row) {
  std::string name(row.param.name);
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace scalio::eval
