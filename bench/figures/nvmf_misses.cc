// GET misses over NVMe/TCP, on loopback, beside the same misses read from the file directly; and
// what they cost the server's process, and that of the target, which stands in for a NIC.
#include <utility>

#include "check.h"
#include "figure.h"
#include "load.h"
#include "numbers.h"
#include "records.h"

namespace scalio::bench {

namespace {

constexpr unsigned kDepth = 64;

struct Side {
  std::vector<double> rates;
  std::vector<double> p1_us;  // of one GET, at depth 1
  double client_cpu_us = 0;   // per GET
};

// Every GET must miss: records that nobody has asked for yet.
void round(Client& client, const Bench& bench, const std::function<std::uint64_t()>& next,
           std::uint64_t gets, Side& side) {
  const Ran one = run_gets(
      client, {.depth = 1, .operations = gets / 10, .seconds = bench.round_seconds()}, next);
  const Ran many = run_gets(
      client, {.depth = kDepth, .operations = gets, .seconds = bench.round_seconds()}, next);
  if (one.counters.misses != one.operations || many.counters.misses != many.operations)
    fail("some GETs were hits");
  side.p1_us.push_back(one.seconds * 1e6 / static_cast<double>(one.operations));
  side.rates.push_back(many.rate());
  side.client_cpu_us = many.cpu_seconds * 1e6 / static_cast<double>(many.operations);
}

}  // namespace

Rows nvmf_misses(const Bench& bench) {
  constexpr double kCpuReach = 0.01;  // us
  const Store& store = bench.stores.with(bench.records());
  const auto server = store.serve(64 * kMiB, {"--nvmf", "127.0.0.1:0"});
  const auto connect = [&server](SsdAccess access) {
    ClientOptions options;
    options.ssd_access = access;
    return server->connect(std::move(options));
  };
  const auto direct = connect(SsdAccess::direct), nvmf = connect(SsdAccess::nvmf);
  const auto next = in_turn(shuffled(store.records()));
  // Both sides take their records from the same pool, and each round two lots of them.
  const std::uint64_t gets = store.records() / bench.rounds() / 3;

  const auto target_cpu_us = [&] { return stat(*direct).at("target_cpu_us").get<double>(); };
  Side file, target;
  double server_us = 0, offload_us = 0, nvmf_gets = 0;
  for (unsigned i = 0; i < bench.rounds(); ++i) {
    round(*direct, bench, next, gets, file);
    const double offload_before = target_cpu_us();
    const std::uint64_t server_before = server->process().cpu_ns(),
                        gets_before = nvmf->counters().gets;
    round(*nvmf, bench, next, gets, target);
    server_us += static_cast<double>(server->process().cpu_ns() - server_before) / 1e3;
    nvmf_gets += static_cast<double>(nvmf->counters().gets - gets_before);
    offload_us += target_cpu_us() - offload_before;
  }
  const double by_file = median(file.rates), by_target = median(target.rates);
  const double one_by_file = median(file.p1_us), one_by_target = median(target.p1_us);
  return {{.figure = fmt::format("GET miss over NVMe/TCP, depth {}", kDepth),
           .reach = "-",
           .yardstick = fmt::format("file directly: {}", per_second(by_file)),
           .measured = per_second(by_target),
           .ratio = by_target / by_file,
           .met = std::nullopt,
           .note = fmt::format(
               "medians of {} rounds in turn; CPU per GET: client {:.1f} us (file: {:.1f}), target "
               "{:.1f} us",
               bench.rounds(), target.client_cpu_us, file.client_cpu_us, offload_us / nvmf_gets)},
          {.figure = "GET miss over NVMe/TCP, depth 1",
           .reach = "-",
           .yardstick = fmt::format("file directly: {:.1f} us", one_by_file),
           .measured = fmt::format("{:.1f} us", one_by_target),
           .ratio = one_by_target / one_by_file,
           .met = std::nullopt,
           .note = "mean of each round, medians of the rounds"},
          {.figure = "Server CPU per GET miss over NVMe/TCP",
           .reach = fmt::format("{} us", kCpuReach),
           .yardstick = fmt::format("target's process {:.2f} us", offload_us / nvmf_gets),
           .measured = fmt::format("{:.5f} us", server_us / nvmf_gets),
           .ratio = server_us / offload_us,
           .met = server_us / nvmf_gets <= kCpuReach,
           .note = fmt::format("{:.0f} GETs, all misses; {:.0f} us of the server's CPU in all",
                               nvmf_gets, server_us)}};
}

}  // namespace scalio::bench
