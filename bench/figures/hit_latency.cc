// GET hit at depth 1, each timed by itself, beside a copy of a whole block out of the same region,
// also each timed by itself. Both in turns of a thousand, in one thread; both include the reading
// of the clock.
#include <chrono>

#include "base/histogram.h"
#include "check.h"
#include "figure.h"
#include "hits.h"
#include "region_copy.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

constexpr int kTurn = 1000;

template <class F>
void time(Histogram& histogram, F operation) {
  const auto begin = std::chrono::steady_clock::now();
  operation();
  const auto end = std::chrono::steady_clock::now();
  histogram.record(static_cast<std::uint64_t>((end - begin).count()));
}

}  // namespace

Rows hit_latency(const Bench& bench) {
  constexpr double kReach = 1;
  const HitStage stage(bench);
  RegionCopy yardstick(stage.server->process());
  Histogram gets, copies, clock;
  ycsb::KeyBuffer key(kKeySize);
  auto next = in_turn(stage.records);
  const ClientCounters before = stage.client->counters();
  for (std::uint64_t turn = 0; turn < bench.size(100, 1000); ++turn) {
    for (int i = 0; i < kTurn; ++i) {
      key.set(ycsb::Digits(next()));
      time(gets, [&] { check(stage.client->run(stage.client->get(key.view())).status()); });
    }
    for (int i = 0; i < kTurn; ++i) {
      const std::uint64_t block = yardstick.choose();
      time(copies, [&] { yardstick.copy(block); });
    }
    for (int i = 0; i < kTurn; ++i) time(clock, [] {});
  }
  if (stage.client->counters().misses != before.misses) fail("some GETs were misses");

  const auto get = static_cast<double>(gets.percentile(50)),
             copy = static_cast<double>(copies.percentile(50));
  return {{.figure = "GET hit, one client thread, depth 1, p50",
           .reach = fmt::format("{} x a copy of the whole block", kReach),
           .yardstick = fmt::format("copy of {} B: {} ns", RegionCopy::kBlock, copy),
           .measured = fmt::format("{} ns", get),
           .ratio = get / copy,
           .met = get <= kReach * copy,
           .note = fmt::format("{} GETs; p99 {} ns, copy's {} ns; {} ns of each is the clock",
                               gets.count(), gets.percentile(99), copies.percentile(99),
                               clock.percentile(50))}};
}

}  // namespace scalio::bench
