// Runs a workload against a server.
#pragma once

#include <scalio/client.h>
#include <scalio/status.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ycsb/report.h"
#include "ycsb/workload.h"

namespace scalio::ycsb {

// With one connection more, for statistics, as many as a server takes by default.
constexpr unsigned kMaxThreads = 1000;
constexpr unsigned kMaxDepth = 1024;

struct BenchmarkOptions {
  std::string server;  // URI
  ClientOptions client;
  Workload workload;
  bool load = false;     // write the workload's records first
  unsigned threads = 1;  // each with a Client of its own
  unsigned depth = 1;    // operations that each thread keeps in flight
  std::uint64_t key_size = 16;
  std::chrono::nanoseconds ttl{0};  // of all that is put; 0: it lasts
  // Equal seeds choose equal operations; processes that run at one time should have different ones.
  std::uint64_t seed = 1;
  std::string history;  // a file to write each operation to; empty: none
  // Set, from any thread, to have it stop early and report.
  const std::atomic<bool>* interrupted = nullptr;
  // Becomes true when there is something to report. Until then connections are made, which takes as
  // long as a timeout says and does not look at `interrupted`.
  std::atomic<bool>* measuring = nullptr;
};

struct Progress {
  std::string_view phase;  // "load" or "run"
  std::uint64_t done = 0;  // operations
  std::uint64_t total = 0;
  std::uint64_t errors = 0;
  double seconds = 0;  // since the phase began
};

// Loads (if asked to) and runs (if the workload has operations), and reports. `progress` is called
// about five times a second, from this thread, and once at the end of each phase.
//
// Operations that fail are counted and the run goes on; it stops early when the server is gone for
// every thread, when nothing has succeeded for a while, when the history cannot be written, or when
// it is interrupted (Phase::stopped says so). Failures: invalid, for options out of range;
// too_large, for records that the store does not take; io_error, for a history that cannot be made;
// what Client::connect may fail with.
Result<Report> run(const BenchmarkOptions& options,
                   const std::function<void(const Progress&)>& progress);

}  // namespace scalio::ycsb
