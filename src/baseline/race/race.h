// A race: a few clients of a store write and read a few keys at once, in the simulator, and what
// they see is kept. Nothing fails; some things take long.
//
// Each client's operations, and its pauses, follow from the seed alone: equal for every store.
#pragma once

#include <cstdint>
#include <vector>

#include "baseline/race/raced_store.h"
#include "history/reader.h"

namespace scalio::race {

// More keys than the caches have slots, so that records are evicted.
struct RaceShape {
  std::uint32_t clients = 4;
  std::uint32_t keys = 48;
  std::uint32_t operations = 300;  // of each client, one at a time
};

// Times are the world's.
struct RacedOperation {
  history::Operation seen;
  std::vector<linearizability::TimelinePart> parts;
};

struct RaceResult {
  std::vector<RacedOperation> operations;  // in the order of their calls
  baseline::KvCounters counters;           // of all clients
};

// Fails as the store's start and its clients' connects do.
Result<RaceResult> run_race(const StoreMaker& make_store, std::uint64_t seed,
                            const RaceShape& shape);

}  // namespace scalio::race
