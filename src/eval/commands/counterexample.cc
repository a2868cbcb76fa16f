// scalio-eval counterexample: is a system linearizable when its clients race? If not, the few
// operations that show it, as text, as a picture and as JSON.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "baseline/race/counterexamples.h"
#include "baseline/race/raced_leed.h"
#include "baseline/race/raced_paper.h"
#include "baseline/race/raced_scalio.h"
#include "cli/output.h"
#include "eval/commands/commands.h"
#include "eval/systems.h"

namespace scalio::eval {

namespace {
using nlohmann::json;

struct Flags {
  std::string system = "leed-ditto";
  std::uint64_t seed = 1;
  std::uint64_t seeds = 100;
  std::uint64_t operations = race::RaceShape().operations;
  std::string out;
  bool json = false;
};

struct RacedSystem {
  std::string_view name;
  std::string_view title;
  race::StoreMaker make;
};

const std::vector<RacedSystem>& raced_systems() {
  static const std::vector<RacedSystem> systems = {
      {"leed-ditto", "LEED + Ditto",
       [](sim::World& w) { return race::make_raced_leed_ditto(w, ditto::EvictionPolicy::lru); }},
      {"leed-ditto-adaptive", "LEED + Ditto, adaptive",
       [](sim::World& w) {
         return race::make_raced_leed_ditto(w, ditto::EvictionPolicy::adaptive);
       }},
      {"leed", "LEED", race::make_raced_leed},
      {"paper", "The paper's Scalio", race::make_raced_paper},
      {"scalio", "Scalio", race::make_raced_scalio},
  };
  return systems;
}

struct Best {
  std::uint64_t seed;
  race::Counterexample example;
};

struct SeedSearch {
  std::uint64_t seeds = 0;
  std::uint64_t operations = 0;
  std::map<race::Cause, Best> best;
};

Status search(const RacedSystem& system, const Flags& flags, SeedSearch& to) {
  const race::RaceShape shape{.operations = static_cast<std::uint32_t>(flags.operations)};
  for (std::uint64_t seed = flags.seed; to.seeds < flags.seeds; ++seed, ++to.seeds) {
    const auto raced = race::run_race(system.make, seed, shape);
    if (!raced.ok()) return raced.status();
    to.operations += raced->operations.size();
    auto found = race::find_counterexamples(raced->operations);
    if (!found.ok()) return found.status();
    for (race::Counterexample& example : *found) {
      auto [at, added] = to.best.try_emplace(example.cause, Best{seed, example});
      if (is_better(example, at->second.example)) at->second = {seed, std::move(example)};
    }
  }
  return Status();
}

json to_json(const Best& best) {
  json operations = json::array();
  for (const race::RacedOperation& o : best.example.operations) {
    json parts = json::array();
    for (const linearizability::TimelinePart& part : o.parts) {
      const bool store = part.place == linearizability::TimelinePart::Place::store;
      parts.push_back({{"in", store ? "store" : "cache"}, {"from", part.from}, {"to", part.to}});
    }
    operations.push_back({{"client", o.seen.client},
                          {"op", name_of(history::kKinds, o.seen.kind)},
                          {"value", o.seen.value ? json(*o.seen.value) : json()},
                          {"call", o.seen.called},
                          {"return", o.seen.returned},
                          {"parts", parts}});
  }
  return {{"cause", name_of(best.example.cause)},
          {"seed", best.seed},
          {"key", best.example.key},
          {"old", best.example.older},
          {"new", best.example.newer},
          {"operations", operations},
          {"wrong", best.example.wrong},
          {"why", best.example.reasons}};
}

Status write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  return file ? Status() : Status(Code::io_error, fmt::format("{} cannot be written", path));
}

std::string report(const RacedSystem& system, const SeedSearch& found,
                   const std::vector<linearizability::Timeline>& timelines) {
  std::string out;
  for (const auto& timeline : timelines) out += to_text(timeline) + "\n";
  out += fmt::format("{}: {} in {} {}, {} operations.\n", system.title,
                     timelines.empty() ? "no violation"
                                       : fmt::format("{} counterexample{}", timelines.size(),
                                                     timelines.size() == 1 ? "" : "s"),
                     found.seeds, found.seeds == 1 ? "seed" : "seeds", found.operations);
  return out;
}

int run(const Flags& flags) {
  spdlog::set_level(spdlog::level::warn);
  const auto system = std::find_if(raced_systems().begin(), raced_systems().end(),
                                   [&](const RacedSystem& s) { return s.name == flags.system; });
  SeedSearch found;
  if (const Status s = search(*system, flags, found); !s.ok()) return cli::fail(s);
  std::vector<linearizability::Timeline> timelines;
  json all = json::array();
  for (const auto& [cause, best] : found.best) {
    timelines.push_back(to_timeline(
        best.example, fmt::format("{}, seed {}, {}", system->title, best.seed, best.example.key)));
    all.push_back(to_json(best));
  }
  if (!flags.out.empty() && !timelines.empty()) {
    if (const Status s = write_file(flags.out, to_svg(timelines)); !s.ok()) return cli::fail(s);
  }
  if (!flags.json) return cli::print(report(*system, found, timelines));
  const json line = {{"system", system->name},
                     {"first_seed", flags.seed},
                     {"seeds", found.seeds},
                     {"operations", found.operations},
                     {"counterexamples", all}};
  return cli::print(line.dump() + "\n");
}
}  // namespace

std::function<int()> add_counterexample(Options& options) {
  auto flags = std::make_shared<Flags>();
  std::vector<std::string> names;
  for (const RacedSystem& system : raced_systems()) names.emplace_back(system.name);
  options.choice("--system", flags->system, names, "Whose clients race");
  options.count("--seed", flags->seed, 0, ~0ULL - 1'000'000, "The first seed");
  options.count("--seeds", flags->seeds, 1, 1'000'000, "How many seeds at most");
  options.count("--operations", flags->operations, 1, 100'000, "Of each client");
  options.text("--out", flags->out, "FILE.svg", "Draws what is found into a file");
  options.flag("--json", flags->json, "Prints one JSON object, on a line");
  return [flags] { return run(*flags); };
}

}  // namespace scalio::eval
