// What a GET hit moves from the server's memory: of one hash block, the header and a body.
#include "check.h"
#include "figure.h"
#include "hits.h"
#include "load.h"

namespace scalio::bench {

Rows hit_bytes(const Bench& bench) {
  constexpr double kReach = 400;
  const HitStage stage(bench);
  const Ran ran =
      run_gets(*stage.client, {.depth = 64, .operations = bench.size(100'000, 1'000'000)},
               in_turn(stage.records));
  if (ran.counters.misses > 0) fail("some GETs were misses");
  const double bytes =
      static_cast<double>(ran.counters.region_bytes_read) / static_cast<double>(ran.counters.hits);
  constexpr double kPayload = kKeySize + kValueSize;
  return {{.figure = "Bytes moved per GET hit, 8 read + 2 write slots",
           .reach = fmt::format("{} B", kReach),
           .yardstick = fmt::format("key and value: {} B", kPayload),
           .measured = fmt::format("{:.0f} B", bytes),
           .ratio = bytes / kPayload,
           .met = bytes <= kReach,
           .note = fmt::format("{} GETs, no misses", ran.operations)}};
}

}  // namespace scalio::bench
