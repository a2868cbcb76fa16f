#include "put_run.h"

#include <fmt/format.h>

#include <fstream>

#include "check.h"
#include "fio.h"
#include "layout/superblock.h"
#include "store/format_store.h"
#include "ycsb/runner.h"

namespace scalio::bench {

namespace {

constexpr std::uint64_t kCache = 64 * kMiB;
constexpr unsigned kThreads = 2;
constexpr unsigned kDepth = 64;

double number(const nlohmann::json& stat, const char* part, const char* name) {
  return stat["shards"][0][part][name].get<double>();
}

// What the phase of a report says, with what the server counted meanwhile.
PutRun put_run(const ycsb::Phase& phase, unsigned depth, const nlohmann::json& before,
               const nlohmann::json& after) {
  const auto added = [&](const char* part, const char* name) {
    return number(after, part, name) - number(before, part, name);
  };
  const Histogram& latency = phase.tally.latency[static_cast<std::size_t>(ycsb::Timed::put)];
  const auto us = [&](double percent) {
    return static_cast<double>(latency.percentile(percent)) / 1000;
  };
  const auto puts = static_cast<double>(phase.tally.writes);
  const auto cpu = [&](const char* name) {
    return after[name].get<double>() - before[name].get<double>();
  };
  return {.rate = puts / phase.seconds,
          .p50_us = us(50),
          .p999_us = us(99.9),
          .depth = static_cast<double>(depth) * kThreads,
          .records_per_merge = added("merge", "records") / added("merge", "buckets"),
          .merges = added("merge", "buckets") / puts,
          .ssd_reads = added("ssd", "reads") / puts,
          .ssd_writes = added("ssd", "writes") / puts,
          .bytes_per_byte =
              added("ssd", "bytes_written") / puts / static_cast<double>(kKeySize + kValueSize),
          .server_cpu_us = cpu("process_cpu_us") / puts,
          .kernel_cpu_us = cpu("process_kernel_us") / puts};
}

ycsb::BenchmarkOptions options_of(const Server& server, std::uint64_t records) {
  ycsb::BenchmarkOptions options;
  options.server = server.uri();
  options.workload = expect(ycsb::load_workload("a"));
  options.workload.records = records;
  options.workload.operations = 0;
  options.workload.value_size = kValueSize;
  options.key_size = kKeySize;
  options.threads = kThreads;
  options.depth = kDepth;
  return options;
}

ycsb::Report report_of(const ycsb::BenchmarkOptions& options) {
  ycsb::Report report = expect(ycsb::run(options, [](const ycsb::Progress&) {}));
  if (ycsb::errors(report) > 0) fail(ycsb::to_table(report));
  return report;
}

PutRun put_drawn(ycsb::Distribution distribution, const Server& server, std::uint64_t records,
                 double seconds, std::uint64_t seed) {
  const auto control = server.connect();
  ycsb::BenchmarkOptions options = options_of(server, records);
  ycsb::Workload& w = options.workload;
  w.reads = 0;
  w.updates = 1;
  w.distribution = distribution;
  w.operations = 1'000'000'000;
  w.max_seconds = static_cast<std::uint64_t>(std::max(seconds, 1.0));
  options.seed = seed;
  const nlohmann::json before = stat(*control);
  const ycsb::Report report = report_of(options);
  return put_run(*report.run, report.depth, before, stat(*control));
}

}  // namespace

PutStore::PutStore(std::filesystem::path dir, std::uint64_t log_size) : dir_(std::move(dir)) {
  storage::FormatOptions options;
  options.dir = dir_.string();
  options.ssds = 1;
  options.ssd_size = kSsdSize;
  options.log_size = log_size;
  expect(storage::format_store(options, [](double) {}));
  ssd_ = read_geometry(dir_ / "ssd-0");
}

std::unique_ptr<Server> PutStore::serve() const {
  return std::make_unique<Server>(dir_, kCache, std::vector<std::string>{});
}

double PutStore::fio_pairs(const std::filesystem::path& file, double seconds) const {
  return fio({.file = file,
              .size = kSsdSize,
              .pattern = FioJob::Pattern::random_pairs,
              .block = ssd_.bucket_size,
              .depth = kThreads * kDepth,
              .seconds = seconds});
}

double PutStore::fio_pairs_beside(double seconds) const {
  const std::filesystem::path file = dir_ / "pairs";
  if (!std::filesystem::exists(file)) make_scratch_file(file, kSsdSize);
  return fio_pairs(file, seconds);
}

double PutStore::fio_pairs_instead(double seconds) const {
  return fio_pairs(dir_ / "ssd-0", seconds);
}

std::string PutStore::shape() const { return shape_of(ssd_, kCache); }

std::string PutRun::text() const {
  return fmt::format(
      "p50 {:.1f} ms, p99.9 {:.1f} ms, which is {:.1f} x depth / throughput; {:.2f} records a "
      "merge; "
      "a PUT: {:.2f} merges, {:.2f} SSD reads, {:.2f} SSD writes, {:.1f} us of the server's CPU in "
      "user space and {:.1f} us in the kernel; "
      "{:.1f} B written to the SSD a byte of key and value",
      p50_us / 1000, p999_us / 1000, p999_us / 1e6 / (depth / rate), records_per_merge, merges,
      ssd_reads, ssd_writes, user_cpu_us(), kernel_cpu_us, bytes_per_byte);
}

PutRun put_any(const Server& server, std::uint64_t records, double seconds, std::uint64_t seed) {
  return put_drawn(ycsb::Distribution::uniform, server, records, seconds, seed);
}

PutRun put_popular(const Server& server, std::uint64_t records, double seconds,
                   std::uint64_t seed) {
  return put_drawn(ycsb::Distribution::zipfian, server, records, seconds, seed);
}

PutRun put_new(const Server& server, std::uint64_t records) {
  const auto control = server.connect();
  ycsb::BenchmarkOptions options = options_of(server, records);
  options.load = true;
  const nlohmann::json before = stat(*control);
  const ycsb::Report report = report_of(options);
  return put_run(*report.load, report.load_depth, before, stat(*control));
}

}  // namespace scalio::bench
