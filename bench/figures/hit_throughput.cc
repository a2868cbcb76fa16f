// GET hits a second of one client thread, beside copies a second of whole blocks out of the same
// region.
#include <chrono>

#include "check.h"
#include "figure.h"
#include "hits.h"
#include "load.h"
#include "numbers.h"
#include "region_copy.h"

namespace scalio::bench {

namespace {

double copies_per_second(RegionCopy& region, std::uint64_t count) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < count; ++i) region.copy(region.choose());
  return static_cast<double>(count) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Rows hit_throughput(const Bench& bench) {
  constexpr double kReach = 4e6;
  const std::uint64_t count = bench.size(300'000, 5'000'000);
  const HitStage stage(bench);
  RegionCopy region(stage.server->process());
  const auto next = in_turn(stage.records);
  std::vector<double> gets, copies, cpu_ns;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    const Ran ran = run_gets(*stage.client, {.depth = 64, .operations = count}, next);
    if (ran.counters.misses > 0) fail("some GETs were misses");
    gets.push_back(ran.rate());
    cpu_ns.push_back(ran.cpu_seconds * 1e9 / static_cast<double>(ran.operations));
    copies.push_back(copies_per_second(region, count));
  }
  const double get = median(gets), copy = median(copies);
  return {{.figure = "GET hit throughput, one client thread",
           .reach = per_second(kReach),
           .yardstick = fmt::format("copies of {} B: {}", RegionCopy::kBlock, per_second(copy)),
           .measured = per_second(get),
           .ratio = get / copy,
           .met = get >= kReach,
           .note = fmt::format("medians of {} rounds of {} each, in turn; {:.0f} ns of CPU per GET",
                               bench.rounds(), count, median(cpu_ns))}};
}

}  // namespace scalio::bench
