// The most memory that the server has had resident, shared memory included, after reads and writes
// of many records: it must not grow with them.
#include "check.h"
#include "figure.h"
#include "ycsb_run.h"

namespace scalio::bench {

namespace {

Row measure(const Bench& bench, std::uint64_t records, bool counts) {
  constexpr std::uint64_t kCache = 64 * kMiB, kReach = kCache + 64 * kMiB;
  const Store& store = bench.stores.with(records);
  const auto server = store.serve(kCache);
  run_ycsb_a(server->uri(), records, bench.size(50'000, 500'000), 1);
  const std::uint64_t peak = server->process().peak_resident_bytes();
  constexpr auto in_mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / kMiB; };
  return {.figure = fmt::format("Memory of the server, {} records", records),
          .reach = "--cache + 64 MiB",
          .yardstick = fmt::format("--cache {:.0f} MiB", in_mib(kCache)),
          .measured = fmt::format("{:.1f} MiB", in_mib(peak)),
          .ratio = static_cast<double>(peak) / static_cast<double>(kCache),
          .met = counts ? std::optional(peak <= kReach) : std::nullopt,
          .note = "peak of resident memory over YCSB A"};
}

}  // namespace

Rows memory(const Bench& bench) {
  const bool full = bench.scale == Scale::full;
  return {measure(bench, bench.records(), true),
          measure(bench, full ? 20'000'000 : 5 * bench.records(), full)};
}

}  // namespace scalio::bench
