#include "ycsb_run.h"

#include "bench_store.h"
#include "check.h"
#include "ycsb/runner.h"

namespace scalio::bench {

ycsb::Phase run_ycsb_a(const std::string& server, std::uint64_t records, std::uint64_t operations,
                       std::uint64_t seed) {
  ycsb::BenchmarkOptions options;
  options.server = server;
  options.workload = expect(ycsb::load_workload("a"));
  options.workload.records = records;
  options.workload.operations = operations;
  options.workload.value_size = kValueSize;
  options.key_size = kKeySize;
  options.threads = 2;
  options.depth = 32;
  options.seed = seed;
  ycsb::Report report = expect(ycsb::run(options, [](const ycsb::Progress&) {}));
  if (ycsb::errors(report) > 0) fail(ycsb::to_table(report));
  return *std::move(report.run);
}

}  // namespace scalio::bench
