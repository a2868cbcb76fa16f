#include "sim/run.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "server/merger.h"

// What a killed process was doing is never freed (world.h).
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}  // NOLINT(bugprone-reserved-identifier)

namespace scalio::sim {
namespace {

class RunTest : public testing::Test {
 protected:
  RunTest() { spdlog::set_level(spdlog::level::off); }
  ~RunTest() override { spdlog::set_level(spdlog::level::info); }

  // In a process of its own: what a simulation leaves behind goes with that.
  static bool in_process(const std::function<bool()>& what) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) _exit(what() ? 0 : 1);
    int how = 0;
    EXPECT_EQ(waitpid(child, &how, 0), child);
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
  }
  // The server struck at each of so many steps from `first` on. False if a promise was broken.
  static bool scans_go_on(std::uint64_t seed, std::uint64_t first, std::uint64_t steps,
                          bool power_cut) {
    for (std::uint64_t at = first; at < first + steps; ++at) {
      const SimulationResult r = run({.seed = seed,
                                      .operations = kScanOperations,
                                      .faults = FaultSet(),
                                      .interruption = ScanInterruption{at, power_cut}});
      if (r.violations.empty() && r.interrupted) continue;
      std::fprintf(stderr, "seed %llu, step %llu of scans: %s\n",
                   static_cast<unsigned long long>(seed), static_cast<unsigned long long>(at),
                   r.violations.empty() ? "the server was not struck" : r.violations[0].c_str());
      return false;
    }
    return true;
  }
  static constexpr std::uint64_t kScanOperations = 60;

  static SimulationResult run_seed(std::uint64_t seed, FaultSet faults = FaultSet().set()) {
    return run({.seed = seed, .operations = 500, .faults = faults, .trace = false});
  }
};

// The digest is over every event and every outcome.
TEST_F(RunTest, ASeedIsARun) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const SimulationResult a = run_seed(seed), b = run_seed(seed);
    EXPECT_EQ(a.digest, b.digest) << seed;
    EXPECT_EQ(a.steps, b.steps);
    EXPECT_EQ(a.struck, b.struck);
    EXPECT_NE(a.digest, run_seed(seed + 1000).digest);
  }
}

TEST_F(RunTest, WithoutFaultsEverythingSucceeds) {
  std::uint64_t hits = 0, misses = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SimulationResult r = run_seed(seed, FaultSet());
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    EXPECT_GE(r.operations, 500U);
    EXPECT_EQ(r.unknown, 0U) << seed;
    EXPECT_TRUE(r.full || r.errors == 0) << seed << ": " << r.errors;
    for (std::size_t i = 0; i < kFaults; ++i) EXPECT_EQ(r.struck[i], 0U) << kFaultNames[i];
    hits += r.hits;
    misses += r.misses;
  }
  EXPECT_GT(hits, 0U);
  EXPECT_GT(misses, 0U);
}

TEST_F(RunTest, EveryFaultStrikes) {
  FaultCounts struck{};
  std::uint64_t unknown = 0, errors = 0, steals = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const SimulationResult r = run_seed(seed);
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    for (std::size_t i = 0; i < kFaults; ++i) struck[i] += r.struck[i];
    unknown += r.unknown;
    errors += r.errors;
    steals += r.steals;
  }
  for (std::size_t i = 0; i < kFaults; ++i) EXPECT_GT(struck[i], 0U) << kFaultNames[i];
  EXPECT_GT(unknown, 0U);
  EXPECT_GT(errors, 0U);
  EXPECT_GT(steals, 0U);
}

TEST_F(RunTest, BlocksAreReadInEveryWay) {
  std::uint64_t whole = 0, parts = 0, two = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const SimulationResult r = run_seed(seed);
    (r.block_read == BlockRead::two ? two : r.reads_parts ? parts : whole) += r.hits;
  }
  EXPECT_GT(whole, 0U);
  EXPECT_GT(parts, 0U);
  EXPECT_GT(two, 0U);
}

TEST_F(RunTest, SsdsHaveSlicesOrNone) {
  std::array<std::uint64_t, 4> hits{};
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const SimulationResult r = run_seed(seed);
    hits.at(r.slices) += r.hits;
  }
  for (const std::size_t slices : {1, 2, 3}) EXPECT_GT(hits[slices], 0U) << slices;
}

TEST_F(RunTest, LanesHaveOneShardOrSeveral) {
  std::uint64_t one = 0, several = 0, alone = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const SimulationResult r = run_seed(seed);
    (r.shards == 1 ? alone : r.lanes == r.shards ? one : several) += r.hits;
  }
  EXPECT_GT(alone, 0U);
  EXPECT_GT(one, 0U);
  EXPECT_GT(several, 0U);
}

TEST_F(RunTest, LargeValuesAreWrittenReadAndMoved) {
  std::uint64_t gets = 0, writes = 0, moved = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const SimulationResult r = run({.seed = seed, .large = true});
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    gets += r.large_gets;
    writes += r.large_writes;
    moved += r.moved;
  }
  EXPECT_GT(gets, 0U);
  EXPECT_GT(writes, 0U);
  EXPECT_GT(moved, 0U);
}

// In one message from servers of this release, in three from those of an older one; in some runs
// releases come and go.
TEST_F(RunTest, LargeValuesAreWrittenToServersOfBothReleases) {
  std::uint64_t present = 0, older = 0, both = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const SimulationResult r = run({.seed = seed, .operations = 500, .large = true});
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    const bool all = r.older_starts == r.restarts + 1;
    (r.older_starts == 0 ? present : all ? older : both) += r.large_writes;
  }
  EXPECT_GT(present, 0U);
  EXPECT_GT(older, 0U);
  EXPECT_GT(both, 0U);
}

// Those of two keys fit; of more, the value log refuses some, and takes others later.
TEST_F(RunTest, LargeValuesMayFillMuchOfASegment) {
  std::uint64_t fits = 0, moved = 0;
  LoadCounts sum;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const bool faults : {false, true}) {
      const SimulationResult r = run({.seed = seed,
                                      .operations = 500,
                                      .faults = faults ? FaultSet().set() : FaultSet(),
                                      .bulky = true});
      EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
      if (faults) continue;
      EXPECT_EQ(r.unknown, 0U) << seed;
      EXPECT_TRUE(r.full || r.errors == 0) << seed << ": " << r.errors;
      fits += r.full ? 0 : 1;
      moved += r.moved;
      sum.refused += r.load.refused;
      sum.taken_again += r.load.taken_again;
    }
  }
  EXPECT_GT(fits, 0U);
  EXPECT_GT(moved, 0U);
  EXPECT_GT(sum.refused, 0U);
  EXPECT_GT(sum.taken_again, 0U);
}

// So that runs of any seed have all of it.
TEST_F(RunTest, SomeLargeValuesAreBulkyAndSomeMergesWaitForOthers) {
  constexpr std::uint64_t kSeeds = 40;
  std::uint64_t bulky = 0, few = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimulationResult r =
        run({.seed = seed, .operations = 1, .faults = FaultSet(), .large = true});
    bulky += r.bulky ? 1 : 0;
    few += r.merges < server::Merger::kUsual ? 1 : 0;
  }
  for (const std::uint64_t some : {bulky, few}) {
    EXPECT_GT(some, 0U);
    EXPECT_LT(some, kSeeds);
  }
}

// All that a batch has in flight is answered, however much that is.
TEST_F(RunTest, ManyOperationsAreAskedForInOneCall) {
  LoadCounts sum;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const bool faults : {false, true}) {
      const SimulationResult r = run({.seed = seed,
                                      .operations = 500,
                                      .faults = faults ? FaultSet().set() : FaultSet(),
                                      .batches = true});
      EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
      EXPECT_TRUE(faults || r.unknown == 0) << seed << ": " << r.unknown;
      sum.batches += r.load.batches;
      sum.batched_writes += r.load.batched_writes;
      sum.multi_gets += r.load.multi_gets;
    }
  }
  EXPECT_GT(sum.batches, 0U);
  EXPECT_GT(sum.batched_writes, 2 * sum.batches);
  EXPECT_GT(sum.multi_gets, 0U);
}

TEST_F(RunTest, WhatIsAddedToEndsAndIsBegunAnew) {
  LoadCounts sum;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SimulationResult r = run({.seed = seed, .additions_end = true});
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    sum.end_changes += r.load.end_changes;
    sum.begun_anew += r.load.begun_anew;
  }
  EXPECT_GT(sum.end_changes, 0U);
  EXPECT_GT(sum.begun_anew, 0U);
}

// So that runs of any seed have all of it.
TEST_F(RunTest, SomeRunsHaveBatchesAndSomeHaveAdditionsThatEnd) {
  std::uint64_t batches = 0, ends = 0, neither = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const LoadCounts load = run_seed(seed, FaultSet()).load;
    batches += load.batches;
    ends += load.end_changes;
    neither += load.batches + load.end_changes == 0;
  }
  EXPECT_GT(batches, 0U);
  EXPECT_GT(ends, 0U);
  EXPECT_GT(neither, 0U);
}

// Records move under some of them, and some servers tell of no moves.
TEST_F(RunTest, ScansReadHomesThatHaveSpilledOnceOrAgain) {
  LoadCounts told, untold;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const SimulationResult r = run({.seed = seed, .spilled = true});
    EXPECT_TRUE(r.violations.empty()) << seed << ": " << r.violations[0];
    LoadCounts& sum = r.move_counts > 0 ? told : untold;
    sum.taken_at_once += r.load.taken_at_once;
    sum.read_again += r.load.read_again;
  }
  EXPECT_GT(told.taken_at_once, 0U);
  EXPECT_GT(told.read_again, 0U);
  EXPECT_EQ(untold.taken_at_once, 0U);
  EXPECT_GT(untold.read_again, 0U);
}

// Kills and power cuts that come at random may miss a step; here none is, of all scans of small
// simulations.
TEST_F(RunTest, AServerMayEndAtEachStepOfAScan) {
  constexpr std::uint64_t kAtOnce = 100, kMost = 120;  // runs of one process, steps of one seed
  std::uint64_t steps = 0;
  for (std::uint64_t seed = 1; steps < 300; ++seed) {
    const SimulationResult r =
        run({.seed = seed, .operations = kScanOperations, .faults = FaultSet()});
    if (r.scan_steps > kMost) continue;
    steps += r.scan_steps;
    for (std::uint64_t at = 0; at < r.scan_steps; at += kAtOnce) {
      const std::uint64_t n = std::min(kAtOnce, r.scan_steps - at);
      for (const bool power_cut : {false, true})
        ASSERT_TRUE(in_process([&] { return scans_go_on(seed, at, n, power_cut); }));
    }
  }
}

TEST_F(RunTest, OnlyTheFaultsThatAreAllowedStrike) {
  const auto torn = static_cast<std::size_t>(Fault::torn_read);
  std::uint64_t count = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const SimulationResult r = run_seed(seed, FaultSet().set(torn));
    for (std::size_t i = 0; i < kFaults; ++i) {
      EXPECT_TRUE(i == torn || r.struck[i] == 0) << kFaultNames[i];
    }
    count += r.struck[torn];
  }
  EXPECT_GT(count, 0U);
}

}  // namespace
}  // namespace scalio::sim
