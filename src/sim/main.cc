// scalio-sim: runs simulations of a store, and says what promise one breaks.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include <spdlog/spdlog.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/process_start.h"
#include "cli/progress_line.h"
#include "cli/size.h"
#include "sim/seed_runner.h"

namespace scalio::sim {
namespace {

struct SimFlags {
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1000;
  std::uint64_t seed = 0;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t operations = 2000;
  std::vector<std::string> faults;
  bool trace = false;
  bool json = false;
};

volatile std::sig_atomic_t stop = 0;

FaultSet faults_of(const std::vector<std::string>& names) {
  if (names.empty()) return FaultSet().set();
  FaultSet set;
  for (std::size_t i = 0; i < kFaults; ++i) {
    set.set(i, std::ranges::find(names, kFaultNames[i]) != names.end());
  }
  return set;
}

std::string replay(const SimFlags& flags, std::uint64_t seed) {
  std::string command = fmt::format("scalio-sim --seed {}", seed);
  if (flags.operations != SimFlags{}.operations)
    command += fmt::format(" --operations {}", flags.operations);
  if (!flags.faults.empty()) command += fmt::format(" --faults {}", fmt::join(flags.faults, ","));
  return command + " --trace";
}

int run_one(const SimFlags& flags) {
  const SimulationResult r =
      run({flags.seed, flags.operations, faults_of(flags.faults), true, flags.trace});
  fmt::print(
      "seed {}: {} operations ({} unknown, {} failed), {} hits, {} misses, {} restarts, run "
      "{:016x}\n",
      flags.seed, r.operations, r.unknown, r.errors, r.hits, r.misses, r.restarts, r.digest);
  if (r.violations.empty()) return cli::kSuccess;
  for (const std::string& v : r.violations) fmt::print("{}\n", v);
  return cli::fail({Code::corrupt, fmt::format("seed {} breaks a promise", flags.seed)});
}

void print_totals(const SimFlags& flags, const Totals& t, double seconds) {
  if (flags.json) {
    nlohmann::ordered_json faults;
    for (std::size_t i = 0; i < kFaults; ++i) faults[kFaultNames[i]] = t.struck[i];
    const nlohmann::ordered_json json = {{"first_seed", flags.first_seed},
                                         {"seeds", t.seeds},
                                         {"seconds", seconds},
                                         {"operations", t.operations},
                                         {"unknown", t.unknown},
                                         {"errors", t.errors},
                                         {"hits", t.hits},
                                         {"misses", t.misses},
                                         {"steals", t.steals},
                                         {"restarts", t.restarts},
                                         {"steps", t.steps},
                                         {"faults", faults}};
    fmt::print("{}\n", json_text(json, 2));
    return;
  }
  fmt::print("{} seeds from {} on, {} operations in {:.1f} s ({:.0f} seeds a minute)\n", t.seeds,
             flags.first_seed, t.operations, seconds, static_cast<double>(t.seeds) * 60 / seconds);
  fmt::print(
      "  {} hits, {} misses, {} steals, {} restarts, {} writes of unknown outcome, {} failed "
      "operations\n",
      t.hits, t.misses, t.steals, t.restarts, t.unknown, t.errors);
  for (std::size_t i = 0; i < kFaults; ++i) {
    fmt::print("  {:<18} {:>10}\n", kFaultNames[i], t.struck[i]);
  }
}

int run_seeds(const SimFlags& flags) {
  if (flags.seeds > UINT64_MAX - flags.first_seed) {
    return cli::fail({Code::invalid, fmt::format("--first-seed {} --seeds {}: the last seed is {}",
                                                 flags.first_seed, flags.seeds, UINT64_MAX - 1)});
  }
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop = 1; });
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  cli::ProgressLine progress(flags.json);
  Result<SeedRunnerResult> result = run_many(
      {flags.first_seed,
       flags.seeds,
       flags.jobs,
       {0, flags.operations, faults_of(flags.faults), true, false}},
      [&](const Totals& t) {
        progress.update(
            "sim", static_cast<double>(t.seeds) / static_cast<double>(flags.seeds),
            fmt::format("{:.0f} seeds a minute, {} of {} faults met",
                        static_cast<double>(t.seeds) * 60 / seconds(),
                        kFaults - static_cast<std::size_t>(std::ranges::count(t.struck, 0U)),
                        kFaults));
        return stop == 0;
      });
  progress.finish();
  if (!result.ok()) return cli::fail(result.status());
  print_totals(flags, result->totals, seconds());
  if (!result->failure) return cli::kSuccess;
  fmt::print("{}\n", result->failure->what);
  return cli::fail(
      {Code::corrupt, fmt::format("seed {} breaks a promise; to see it: {}", result->failure->seed,
                                  replay(flags, result->failure->seed))});
}

int main(int argc, char** argv) {
  cli::prepare_process();
  CLI::App app("Simulate servers, clients and faults of Scalio, and check every promise.",
               "scalio-sim");
  app.set_version_flag("--version", "scalio-sim " SCALIO_VERSION);
  SimFlags flags;
  cli::as_count(app.add_option("--first-seed", flags.first_seed, "The first seed"))
      ->capture_default_str();
  cli::as_count(
      app.add_option("--seeds", flags.seeds, "How many seeds to run, one after the other"))
      ->capture_default_str();
  app.add_option("--jobs", flags.jobs, "Seeds at a time; default: one for each core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  CLI::Option* one = cli::as_count(app.add_option("--seed", flags.seed, "Run this seed alone"));
  app.add_flag("--trace", flags.trace, "Print everything that happens")->needs(one);
  cli::as_count(
      app.add_option("--operations", flags.operations, "Operations of the clients for each seed"))
      ->capture_default_str();
  app.add_option("--faults", flags.faults,
                 "Only these may happen, separated by commas; default: all")
      ->type_name("NAMES")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>(kFaultNames.begin(), kFaultNames.end()))
                  .description(""));
  app.add_flag("--json", flags.json, "Print the totals as JSON");
  app.footer(fmt::format(
      "The real code of server and client runs over simulated memory, network, SSDs and time. A "
      "seed decides\n"
      "everything: the store's shape, the load, which faults happen and when. Checked are "
      "linearizability, no\n"
      "lost write, the protocol's invariants, and that every operation ends. Exit status 3 if a "
      "promise is broken.\n\n"
      "Faults: {}\n\n"
      "Examples:\n"
      "  scalio-sim --seeds 100000\n"
      "  scalio-sim --seed 42 --trace",
      fmt::join(kFaultNames, ", ")));
  if (const auto status = cli::parse_command_line(app, argc, argv)) return *status;
  // What servers and clients log of simulated faults is no news.
  spdlog::set_level(spdlog::level::off);
  const int status = one->count() > 0 ? run_one(flags) : run_seeds(flags);
  // What was printed may still wait to be written.
  return status == cli::kSuccess ? cli::print("") : status;
}

}  // namespace
}  // namespace scalio::sim

int main(int argc, char** argv) { return scalio::sim::main(argc, argv); }
