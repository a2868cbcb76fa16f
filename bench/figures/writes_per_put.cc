// Writes to the SSD, of log, images and buckets together, per PUT under YCSB A. They are counted
// when the store is in its steady state: the log has been written around once, so merging keeps
// pace with the PUTs. If more write slots are dirty after than before, each of these is counted as
// a write that is still owed.
#include <algorithm>

#include "check.h"
#include "figure.h"
#include "numbers.h"
#include "ycsb_run.h"

namespace scalio::bench {

namespace {

struct Measured {
  double writes_per_put;
  double rate;  // operations a second
  std::uint64_t puts;
  std::uint64_t dirty_before, dirty_after;
};

std::uint64_t dirty_slots(Client& client) { return stat(client)["shards"][0]["cache"]["dirty"]; }
std::uint64_t log_bytes(Client& client) { return stat(client)["shards"][0]["log"]["bytes"]; }

Measured measure(const Store& store, std::uint64_t operations, std::uint64_t warm_up,
                 const std::vector<std::string>& options) {
  const auto server = store.serve(64 * kMiB, options);
  const auto control = server->connect();
  std::uint64_t seed = 1;
  for (std::uint64_t done = 0; done < warm_up && log_bytes(*control) < store.ssd().log_size;
       done += operations) {
    run_ycsb_a(server->uri(), store.records(), operations, seed++);
  }
  const std::uint64_t before = dirty_slots(*control);
  const ycsb::Phase phase = run_ycsb_a(server->uri(), store.records(), operations, seed);
  if (!phase.server.ssd_writes) fail("the server does not count its writes");
  const std::uint64_t after = dirty_slots(*control), owed = std::max(before, after) - before;
  const auto writes = static_cast<double>(*phase.server.ssd_writes + owed);
  return {.writes_per_put = writes / static_cast<double>(phase.tally.writes),
          .rate = static_cast<double>(phase.tally.operations) / phase.seconds,
          .puts = phase.tally.writes,
          .dirty_before = before,
          .dirty_after = after};
}

}  // namespace

Rows writes_per_put(const Bench& bench) {
  constexpr double kReach = 0.5;
  const Store& store = bench.stores.with(bench.records());
  const std::uint64_t most = bench.size(200'000, 5'000'000);
  const Measured on = measure(store, bench.size(100'000, 1'000'000), most, {});
  const Measured off = measure(store, bench.size(5'000, 50'000), most / 25, {"--batch-max", "1"});
  return {{.figure = "SSD writes per PUT, YCSB A zipfian 0.99, batching on",
           .reach = fmt::format("{}", kReach),
           .yardstick = fmt::format("off: {:.3f}", off.writes_per_put),
           .measured = fmt::format("{:.3f}", on.writes_per_put),
           .ratio = on.writes_per_put / off.writes_per_put,
           .met = on.writes_per_put <= kReach,
           .note = fmt::format("{} PUTs (off: {}) over {} records, cache 64 MiB, 2 threads x 32 in "
                               "flight; {} operations (off: "
                               "{}); dirty write slots {} before, {} after",
                               on.puts, off.puts, store.records(), per_second(on.rate),
                               per_second(off.rate), on.dirty_before, on.dirty_after)}};
}

}  // namespace scalio::bench
