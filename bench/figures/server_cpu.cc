// Server CPU per GET: "none" in the design, so what is counted is what the operating system charges
// to the server's process over a read-only run. The yardstick is what the same run costs the
// client's process.
#include "check.h"
#include "figure.h"
#include "load.h"
#include "records.h"

namespace scalio::bench {

Rows server_cpu(const Bench& bench) {
  constexpr double kReach = 0.01;  // us
  const Store& store = bench.stores.with(bench.records());
  const auto server = store.serve(64 * kMiB);
  const auto client = server->connect();

  const std::uint64_t server_before = server->process().cpu_ns(), client_before = own_cpu_ns();
  const Ran ran = run_gets(*client, {.depth = 64, .operations = bench.size(1'000'000, 10'000'000)},
                           uniform(store.records()));
  const std::uint64_t used = server->process().cpu_ns() - server_before;
  const auto gets = static_cast<double>(ran.operations);
  const double ours = static_cast<double>(own_cpu_ns() - client_before) / 1e3 / gets;
  const double servers = static_cast<double>(used) / 1e3 / gets;

  return {{.figure = "Server CPU per GET, hit or miss",
           .reach = fmt::format("{} us", kReach),
           .yardstick = fmt::format("client CPU {:.2f} us", ours),
           .measured = fmt::format("{:.5f} us", servers),
           .ratio = servers / ours,
           .met = servers <= kReach,
           .note = fmt::format(
               "{} GETs, uniform, {:.1f} % misses, in {:.0f} s; {} us of the server's CPU in all",
               ran.operations, 100 * static_cast<double>(ran.counters.misses) / gets, ran.seconds,
               used / 1000)}};
}

}  // namespace scalio::bench
