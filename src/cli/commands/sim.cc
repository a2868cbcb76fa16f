#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include <spdlog/spdlog.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/size.h"
#include "sim/seed_runner.h"

namespace scalio::cli {
namespace {

struct Flags {
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1000;
  std::uint64_t seed = 0;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t operations = 2000;
  std::vector<std::string> faults;
  bool trace = false;
  bool json = false;
  const CLI::Option* one_seed = nullptr;
};

volatile std::sig_atomic_t stop = 0;

sim::FaultSet faults_of(const std::vector<std::string>& names) {
  if (names.empty()) return sim::FaultSet().set();
  sim::FaultSet set;
  for (std::size_t i = 0; i < sim::kFaults; ++i) {
    set.set(i, std::ranges::find(names, sim::kFaultNames[i]) != names.end());
  }
  return set;
}

std::string replay(const Flags& flags, std::uint64_t seed) {
  std::string command = fmt::format("scalio sim --seed {}", seed);
  if (flags.operations != Flags{}.operations)
    command += fmt::format(" --operations {}", flags.operations);
  if (!flags.faults.empty()) command += fmt::format(" --faults {}", fmt::join(flags.faults, ","));
  return command + " --trace";
}

int run_one(const Flags& flags) {
  const sim::RunResult r =
      sim::run({flags.seed, flags.operations, faults_of(flags.faults), true, flags.trace});
  fmt::print(
      "seed {}: {} operations ({} unknown, {} failed), {} hits, {} misses, {} restarts, run "
      "{:016x}\n",
      flags.seed, r.operations, r.unknown, r.errors, r.hits, r.misses, r.restarts, r.digest);
  if (r.violations.empty()) return kSuccess;
  for (const std::string& v : r.violations) fmt::print("{}\n", v);
  return fail({Code::corrupt, fmt::format("seed {} breaks a promise", flags.seed)});
}

void print_totals(const Flags& flags, const sim::Totals& t, double seconds) {
  if (flags.json) {
    nlohmann::ordered_json faults;
    for (std::size_t i = 0; i < sim::kFaults; ++i) faults[sim::kFaultNames[i]] = t.struck[i];
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
  for (std::size_t i = 0; i < sim::kFaults; ++i) {
    fmt::print("  {:<18} {:>10}\n", sim::kFaultNames[i], t.struck[i]);
  }
}

int run_seeds(const Flags& flags) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop = 1; });
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  ProgressLine progress(flags.json);
  Result<sim::RunnerResult> result = sim::run_many(
      {flags.first_seed,
       flags.seeds,
       flags.jobs,
       {0, flags.operations, faults_of(flags.faults), true, false}},
      [&](const sim::Totals& t) {
        progress.update(
            "sim", static_cast<double>(t.seeds) / static_cast<double>(flags.seeds),
            fmt::format("{:.0f} seeds a minute, {} of {} faults met",
                        static_cast<double>(t.seeds) * 60 / seconds(),
                        sim::kFaults - static_cast<std::size_t>(std::ranges::count(t.struck, 0U)),
                        sim::kFaults));
        return stop == 0;
      });
  progress.finish();
  if (!result.ok()) return fail(result.status());
  print_totals(flags, result->totals, seconds());
  if (!result->failure) return kSuccess;
  fmt::print("{}\n", result->failure->what);
  return fail(
      {Code::corrupt, fmt::format("seed {} breaks a promise; to see it: {}", result->failure->seed,
                                  replay(flags, result->failure->seed))});
}

}  // namespace

Command add_sim(CLI::App& parent) {
  CLI::App* app =
      parent.add_subcommand("sim", "Simulate servers, clients and faults, and check every promise");
  auto flags = std::make_shared<Flags>();
  as_count(app->add_option("--first-seed", flags->first_seed, "The first seed"))
      ->capture_default_str();
  as_count(app->add_option("--seeds", flags->seeds, "How many seeds to run, one after the other"))
      ->capture_default_str();
  app->add_option("--jobs", flags->jobs, "Seeds at a time; default: one for each core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  CLI::Option* one = as_count(app->add_option("--seed", flags->seed, "Run this seed alone"));
  app->add_flag("--trace", flags->trace, "Print everything that happens")->needs(one);
  as_count(
      app->add_option("--operations", flags->operations, "Operations of the clients for each seed"))
      ->capture_default_str();
  app->add_option("--faults", flags->faults,
                  "Only these may happen, separated by commas; default: all")
      ->type_name("NAMES")
      ->delimiter(',')
      ->check(
          CLI::IsMember(std::vector<std::string>(sim::kFaultNames.begin(), sim::kFaultNames.end()))
              .description(""));
  app->add_flag("--json", flags->json, "Print the totals as JSON");
  flags->one_seed = one;
  app->footer(fmt::format(
      "The real code of server and client runs over simulated memory, network, SSDs and time. A "
      "seed decides\n"
      "everything: the store's shape, the load, which faults happen and when. Checked are "
      "linearizability, no\n"
      "lost write, the protocol's invariants, and that every operation ends. Exit status 3 if a "
      "promise is broken.\n\n"
      "Faults: {}\n\n"
      "Examples:\n"
      "  scalio sim --seeds 100000\n"
      "  scalio sim --seed 42 --trace",
      fmt::join(sim::kFaultNames, ", ")));
  return {app, [flags] {
            // What servers and clients log of simulated faults is no news.
            spdlog::set_level(spdlog::level::off);
            return flags->one_seed->count() > 0 ? run_one(*flags) : run_seeds(*flags);
          }};
}

}  // namespace scalio::cli
