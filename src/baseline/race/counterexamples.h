// Counterexamples: the few operations of a race that no order explains, and why that came about.
//
// Looked for are the two races of a cache that is written through, which the talk on Scalio (OSDI
// '25) shows: two writers leave the older value in the cache, or a reader that has missed puts it
// back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baseline/race/race.h"

namespace scalio::race {

enum class Cause : std::uint8_t {
  two_writers,  // wrote to the store in one order, to the cache in the other
  reader,       // cached what it had read from the store before that was overwritten
  unknown,
};
std::string_view name_of(Cause cause);  // "two-writers"

struct Counterexample {
  Cause cause = Cause::unknown;
  std::string key;
  std::string older, newer;  // values, in the store's order; empty if the cause is unknown
  bool in_turn = false;      // older came into the cache when newer was there already
  // In order of their calls: as few as are still not linearizable, and the reader whose fault it
  // is.
  std::vector<RacedOperation> operations;
  std::size_t wrong = 0;             // of these, the read that is stale, or the last operation
  std::vector<std::string> reasons;  // sentences, in which these values are "old" and "new"
};

// At most one for each key, in the order of the keys. Failures: those of the checker.
Result<std::vector<Counterexample>> find_counterexamples(const std::vector<RacedOperation>& race);

// The better one has fewer operations, or else accesses to the cache that do not overlap, or else
// takes less time.
bool is_better(const Counterexample& a, const Counterexample& b);

// Its values are "old" and "new", and the title goes on with what they were.
linearizability::Timeline to_timeline(const Counterexample& example, std::string title);

}  // namespace scalio::race
