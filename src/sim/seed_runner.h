// Runs many simulations, on several cores.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/run.h"

namespace scalio::sim {

struct SeedRunnerOptions {
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1000;
  unsigned jobs = 1;
  SimulationOptions run;  // its seed and trace are not used
};

struct Totals {
  std::uint64_t seeds = 0;  // done
  std::uint64_t operations = 0, unknown = 0, errors = 0;
  std::uint64_t hits = 0, misses = 0, steals = 0;
  std::uint64_t restarts = 0, steps = 0;
  FaultCounts struck{};
};

struct Failure {
  std::uint64_t seed = 0;
  std::string what;
};

struct SeedRunnerResult {
  Totals totals;
  std::optional<Failure> failure;  // the first that was found: it ends the run
};

// Each job is a process, so that a simulation that ends it (a failed assertion) is a failure with a
// seed like any other, and the memory of dead simulated processes is given back. `progress` is
// called now and then; when it returns false, the run ends. Fails with unavailable if processes
// cannot be started.
Result<SeedRunnerResult> run_many(const SeedRunnerOptions& options,
                                  const std::function<bool(const Totals&)>& progress);

}  // namespace scalio::sim
