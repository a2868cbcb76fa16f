// Load from one client thread, a number of operations always in flight.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <functional>
#include <limits>

#include "bench_store.h"

namespace scalio::bench {

// Ends at whichever bound is reached first.
struct Bounds {
  unsigned depth = 1;
  std::uint64_t operations = std::numeric_limits<std::uint64_t>::max();
  double seconds = 600;
};

struct Ran {
  std::uint64_t operations = 0;
  double seconds = 0;
  double cpu_seconds = 0;   // of the client's thread
  ClientCounters counters;  // what was added

  double rate() const { return static_cast<double>(operations) / seconds; }
};

// GETs or PUTs of the records that `next` names. An operation that fails ends the process.
Ran run_gets(Client& client, const Bounds& bounds, const std::function<std::uint64_t()>& next);
// The same of records that do not exist: one that does ends the process.
Ran run_absent_gets(Client& client, const Bounds& bounds,
                    const std::function<std::uint64_t()>& next);
Ran run_puts(Client& client, const Bounds& bounds, const std::function<std::uint64_t()>& next,
             std::uint64_t value_size = kValueSize);

// What was added since `before`.
ClientCounters since(const ClientCounters& now, const ClientCounters& before);

}  // namespace scalio::bench
