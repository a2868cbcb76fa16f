// A run of a YCSB workload on one of the compared systems: loading, warming up, measuring.
#pragma once

#include <scalio/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "eval/kv_session.h"
#include "eval/kv_worker.h"
#include "eval/server_stat.h"
#include "ycsb/workload.h"

namespace scalio::eval {

struct KvRunOptions {
  ycsb::Workload workload;
  bool load = false;               // write the workload's records first
  std::uint64_t warm_up = 0;       // operations before those that are measured
  std::uint32_t threads = 1;       // each with a session of its own
  std::uint32_t depth = 1;         // operations that each thread keeps in flight
  std::uint64_t most_seconds = 0;  // after which measuring ends well; 0: no limit
  std::uint64_t key_size = 16;
  std::uint64_t seed = 1;  // each thread has another one, that follows from it
  bool cache = false;      // KvWorkerOptions::cache
  // Makes the session of a thread, on it.
  std::function<Result<std::unique_ptr<KvSession>>(std::uint32_t thread)> connect;
  // Set, from any thread, to have it stop early and report.
  const std::atomic<bool>* interrupted = nullptr;
};

struct KvPhase {
  double seconds = 0;
  KvTally tally;
  ServerStat server;    // what was added
  std::string stopped;  // why it ended before its time; empty if it did not
};

struct KvReport {
  std::optional<KvPhase> load;
  std::optional<KvPhase> run;  // absent: no operations were asked for, or an earlier phase stopped
};

struct KvProgress {
  std::string_view phase;  // "load", "warm up" or "run"
  std::uint64_t done = 0;  // operations
  std::uint64_t total = 0;
  std::uint64_t errors = 0;
  double seconds = 0;  // since the phase began
};

// All phases have the same sessions. `progress` is called about five times a second, from this
// thread, and at the end of each phase. Operations that fail are counted and the run goes on, until
// many in a row have failed, or nothing has succeeded for 5 s. Failures: invalid, for options out
// of range; those of `connect`.
Result<KvReport> run(const KvRunOptions& options,
                     const std::function<void(const KvProgress&)>& progress);

}  // namespace scalio::eval
