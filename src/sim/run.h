// One simulation: a store of a few SSDs and slices with its real server and client code, clients
// that load it, and faults; all of it from one seed. Then: was everything as promised?
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/load_counts.h"

namespace scalio::sim {

// Strikes the server when as many steps as `at` have begun while a client scanned. To go through
// all of them.
struct ScanInterruption {
  std::uint64_t at = 0;
  bool power_cut = false;  // else it is killed
};

struct SimulationOptions {
  std::uint64_t seed = 0;
  std::uint64_t operations = 2000;     // of clients
  FaultSet faults = FaultSet().set();  // those that may be chosen
  bool choose = true;                  // else all of them are on
  bool trace = false;                  // prints what happens to stdout
  bool hot = false;                    // all load on a key or two in one block
  bool spilled = false;                // many homes have records in other buckets, and are scanned
  bool large = false;                  // the store has an area for large values
  bool bulky = false;                  // and these fill much of a segment each
  bool batches = false;                // clients ask for many operations in one call, too
  bool additions_end = false;          // keys that are only added to have ends
  bool move_counts = true;             // servers may tell them, and do in most runs; else none does
  std::optional<ScanInterruption> interruption = std::nullopt;
};

struct SimulationResult {
  std::vector<std::string> violations;  // none: all was as promised
  std::uint64_t operations = 0;         // that ended
  std::uint64_t unknown = 0;            // writes whose outcome was not known
  std::uint64_t errors = 0;             // operations that failed otherwise
  std::uint64_t hits = 0, misses = 0, steals = 0;
  std::uint64_t large_gets = 0, large_writes = 0;
  LoadCounts load;
  std::uint64_t moved = 0;  // bytes of large values, by the last server that was loaded
  std::uint64_t steps = 0;
  std::uint64_t scan_steps = 0;  // of the load, while a client scanned
  bool interrupted = false;      // at one of these
  std::uint64_t restarts = 0;    // of servers
  // Starts of the first server and of those after it that were of an older release.
  std::uint64_t older_starts = 0;
  // How clients read hash blocks: by two READs or at once; in the latter case a part or all of it.
  BlockRead block_read = BlockRead::whole;
  bool reads_parts = false;
  std::uint32_t slices = 1;           // of each SSD
  std::size_t shards = 1, lanes = 1;  // of the first server
  bool full = false;                  // the store cannot hold all keys, or their values
  bool bulky = false;                 // large values fill much of a segment each
  std::uint64_t merges = 0;           // at once, of a shard
  std::uint32_t move_counts = 0;      // of a shard
  FaultCounts struck{};
  std::uint64_t digest = 0;  // equal for equal runs
};

SimulationResult run(const SimulationOptions& options);

}  // namespace scalio::sim
