// scalio-sim-rules: shows that the simulator notices when a rule of the protocol is left out. This
// program is built so that it can leave one out (layout/rules.h).
//
//   scalio-sim-rules RULE [MOST_SEEDS]     runs seeds without the rule until a promise is broken
//   scalio-sim-rules RULE --trace SEED     prints what happens in that seed
//   scalio-sim-rules --list
//
// Exit status 0 if a violation was found, 3 if not.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string_view>

#include "layout/rules.h"
#include "sim/seed_runner.h"

namespace {

using scalio::Rule;

int usage() {
  fmt::print(stderr, "usage: scalio-sim-rules RULE [MOST_SEEDS] | RULE --trace SEED | --list\n");
  return 2;
}

// The faults that a rule is there for show its loss sooner when others do not get in the way.
scalio::sim::SimulationOptions options_for(Rule rule) {
  using scalio::sim::Fault;
  scalio::sim::SimulationOptions options;
  const auto only = [&](std::initializer_list<Fault> faults) {
    options.choose = false;
    options.faults.reset();
    for (const Fault fault : faults) options.faults.set(static_cast<std::size_t>(fault));
  };
  switch (rule) {
    case Rule::kill_before_publish:
      only({Fault::torn_read, Fault::preempt_server});
      options.hot = true;
      break;
    case Rule::position: only({Fault::misplaced_write, Fault::kill_client}); break;
    case Rule::bucket_images: only({Fault::power_cut, Fault::slow}); break;
    case Rule::epoch: only({Fault::kill_server, Fault::freeze_client, Fault::slow}); break;
    case Rule::identity: only({Fault::replaced_ssd}); break;
    case Rule::own_body: only({Fault::damage_write_slot}); break;
    case Rule::log_mac: only({Fault::forged_log, Fault::kill_server}); break;
    case Rule::clean_too:
      only({Fault::preempt_server});
      options.hot = true;
      break;
    case Rule::reach_later:
      options.operations = 8000;  // it is seen where records have been moved often
      [[fallthrough]];
    case Rule::home_again: options.move_counts = false; [[fallthrough]];
    case Rule::move_counted:
    case Rule::counts_again:
      only({Fault::slow});
      options.spilled = true;
      break;
    case Rule::scan_end:
      only({Fault::kill_server, Fault::power_cut});
      options.spilled = true;
      break;
    case Rule::moves_flushed:
      only({Fault::power_cut});
      options.large = true;
      break;
    case Rule::filling_known:
      only({Fault::kill_server});
      options.large = true;
      break;
    case Rule::places_known:
    case Rule::move_is_newer:
    case Rule::overtaken_anew:
      only({Fault::slow});
      options.large = true;
      break;
    case Rule::same_shard: only({Fault::misrouted, Fault::lose_connection}); break;
    case Rule::all_in_flight:
      only({Fault::lose_connection, Fault::slow});
      options.batches = true;
      break;
    case Rule::ended_is_none: options.additions_end = true; break;
    case Rule::time_mark: only({Fault::clock_drift, Fault::kill_server}); break;
    case Rule::publish_before_time:
      only({Fault::slow});
      options.additions_end = true;
      break;
    case Rule::ask_for_time: only({Fault::clock_drift, Fault::slow}); break;
    case Rule::read_after_end:
      only({Fault::slow});
      options.hot = true;
      break;
    default: break;
  }
  return options;
}

int find(Rule rule, std::string_view name, std::uint64_t most) {
  scalio::left_out = rule;
  auto result =
      scalio::sim::run_many({1, most, 1, options_for(rule)}, [](const auto&) { return true; });
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", result.status().to_string());
    return 3;
  }
  if (!result->failure) {
    fmt::print("{}: no violation in {} seeds\n", name, result->totals.seeds);
    return 3;
  }
  fmt::print("{}: violation in seed {}\n{}\n", name, result->failure->seed, result->failure->what);
  return 0;
}

int trace(Rule rule, std::uint64_t seed) {
  scalio::left_out = rule;
  scalio::sim::SimulationOptions options = options_for(rule);
  options.seed = seed;
  options.trace = true;
  const auto result = scalio::sim::run(options);
  for (const std::string& v : result.violations) fmt::print("{}\n", v);
  return result.violations.empty() ? 3 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return usage();
  if (arguments[0] == "--list") {
    for (const auto& [rule, name] : scalio::kRules) fmt::print("{}\n", name);
    return 0;
  }
  for (const auto& [rule, name] : scalio::kRules) {
    if (name != arguments[0]) continue;
    if (arguments.size() == 3 && arguments[1] == "--trace")
      return trace(rule, std::strtoull(argv[3], nullptr, 10));
    return find(rule, name, arguments.size() > 1 ? std::strtoull(argv[2], nullptr, 10) : 3000);
  }
  return usage();
}
