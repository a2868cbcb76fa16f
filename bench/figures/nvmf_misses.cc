// GET misses over NVMe/TCP, on loopback, beside the same misses read from the file directly; and
// what they cost the server's process, and that of the target, which stands in for a NIC, beside a
// bare read of the same file.
#include <utility>

#include "bare_reads.h"
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
  std::vector<double> p1_us;          // of one GET, at depth 1
  double client_cpu_us = 0;           // per GET
  double server_us = 0, gets = 0;     // of all
  double target_us = 0;               // of all
  std::vector<double> target_cpu_us;  // per GET, with many in flight
};

// Between what is measured nobody asks the server: that would be its CPU time.
class Misses {
 public:
  Misses(const Store& store, const Bench& bench)
      : bench_(bench),
        server_(store.serve(64 * kMiB, {"--nvmf", "127.0.0.1:0"})),
        control_(server_->connect()),
        next_(in_turn(shuffled(store.records()))),
        // Both sides take their records from the same pool, and each round two lots of them.
        gets_(store.records() / bench.rounds() / 3) {}

  std::unique_ptr<Client> connect(SsdAccess access) const {
    ClientOptions options;
    options.ssd_access = access;
    return server_->connect(std::move(options));
  }
  void round(Client& client, Side& side) {
    const double begin = target_us();
    const Ran one = run(client, {.depth = 1, .operations = gets_ / 10}, side);
    const double middle = target_us();
    const Ran many = run(client, {.depth = kDepth, .operations = gets_}, side);
    const double end = target_us();
    side.p1_us.push_back(one.seconds * 1e6 / static_cast<double>(one.operations));
    side.rates.push_back(many.rate());
    side.client_cpu_us = many.cpu_seconds * 1e6 / static_cast<double>(many.operations);
    side.target_us += end - begin;
    side.target_cpu_us.push_back((end - middle) / static_cast<double>(many.operations));
  }

 private:
  // Every GET must miss: records that nobody has asked for yet.
  Ran run(Client& client, Bounds bounds, Side& side) {
    bounds.seconds = bench_.round_seconds();
    const std::uint64_t before = server_->process().cpu_ns();
    const Ran ran = run_gets(client, bounds, next_);
    side.server_us += static_cast<double>(server_->process().cpu_ns() - before) / 1e3;
    side.gets += static_cast<double>(ran.operations);
    if (ran.counters.misses != ran.operations) fail("some GETs were hits");
    return ran;
  }
  double target_us() const { return stat(*control_).at("target_cpu_us").get<double>(); }

  const Bench& bench_;
  const std::unique_ptr<Server> server_;
  const std::unique_ptr<Client> control_;
  const std::function<std::uint64_t()> next_;
  const std::uint64_t gets_;
};

}  // namespace

Rows nvmf_misses(const Bench& bench) {
  constexpr double kReach = 0.9, kTargetReach = 1.15, kServerReach = 0.01;  // of file, read; in us
  const Store& store = bench.stores.with(bench.records());
  Misses misses(store, bench);
  const auto direct = misses.connect(SsdAccess::direct), nvmf = misses.connect(SsdAccess::nvmf);
  BareReads bare(store.ssd_path(), store.ssd());
  Side file, target;
  std::vector<double> reads;
  for (unsigned i = 0; i < bench.rounds(); ++i) {
    misses.round(*direct, file);
    misses.round(*nvmf, target);
    reads.push_back(bare.cpu_us(kDepth, bench.round_seconds()));
  }
  const double by_file = median(file.rates), by_target = median(target.rates);
  const double one_by_file = median(file.p1_us), one_by_target = median(target.p1_us);
  const double cpu = median(target.target_cpu_us), read = median(reads);
  const double server_us = target.server_us / target.gets;
  const std::string rounds = fmt::format("medians of {} rounds in turn", bench.rounds());
  return {{.figure = fmt::format("GET miss over NVMe/TCP, depth {}", kDepth),
           .reach = fmt::format("{} of the file", kReach),
           .yardstick = fmt::format("file directly: {}", per_second(by_file)),
           .measured = per_second(by_target),
           .ratio = by_target / by_file,
           .met = by_target >= kReach * by_file,
           .note = fmt::format("{}; CPU per GET: client {:.1f} us (file: {:.1f})", rounds,
                               target.client_cpu_us, file.client_cpu_us)},
          {.figure = fmt::format("Target's CPU per GET miss over NVMe/TCP, depth {}", kDepth),
           .reach = fmt::format("{} x a bare read", kTargetReach),
           .yardstick = fmt::format("io_uring, a bucket of the same file, depth {}: {:.2f} us",
                                    kDepth, read),
           .measured = fmt::format("{:.2f} us", cpu),
           .ratio = cpu / read,
           .met = cpu <= kTargetReach * read,
           .note = fmt::format("{}; CPU time of whole processes, the kernel's for them included",
                               rounds)},
          {.figure = "GET miss over NVMe/TCP, depth 1",
           .reach = "-",
           .yardstick = fmt::format("file directly: {:.1f} us", one_by_file),
           .measured = fmt::format("{:.1f} us", one_by_target),
           .ratio = one_by_target / one_by_file,
           .met = std::nullopt,
           .note = "mean of each round, medians of the rounds"},
          {.figure = "Server CPU per GET miss over NVMe/TCP",
           .reach = fmt::format("{} us", kServerReach),
           .yardstick = fmt::format("target's process {:.2f} us", target.target_us / target.gets),
           .measured = fmt::format("{:.5f} us", server_us),
           .ratio = target.server_us / target.target_us,
           .met = server_us <= kServerReach,
           .note = fmt::format("{:.0f} GETs, all misses; {:.0f} us of the server's CPU in all",
                               target.gets, target.server_us)}};
}

}  // namespace scalio::bench
