// A round of reads from another process: how many, how long each took, and the CPU time of both.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/histogram.h"
#include "measured_process.h"

namespace scalio::bench {

struct Round {
  std::uint64_t reads = 0;
  double seconds = 0;
  Histogram latency;             // ns
  std::uint64_t own_cpu = 0;     // ns
  std::uint64_t target_cpu = 0;  // ns

  double rate() const { return static_cast<double>(reads) / seconds; }
  double us_each(std::uint64_t ns) const {
    return static_cast<double>(ns) / 1e3 / static_cast<double>(reads);
  }
};

// Of rounds with the same load.
struct Medians {
  std::vector<double> rate, p50, p99, own_cpu, target_cpu;  // per second; us; us per read

  void add(const Round& round) {
    rate.push_back(round.rate());
    p50.push_back(static_cast<double>(round.latency.percentile(50)) / 1e3);
    p99.push_back(static_cast<double>(round.latency.percentile(99)) / 1e3);
    own_cpu.push_back(round.us_each(round.own_cpu));
    target_cpu.push_back(round.us_each(round.target_cpu));
  }
};

// Runs `body` and accounts for it.
template <class Body>
Round measure(const Process& target, Body body) {
  Round round;
  const std::uint64_t own = thread_cpu_ns(), theirs = target.cpu_ns();
  const auto begin = std::chrono::steady_clock::now();
  body(round);
  round.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  round.own_cpu = thread_cpu_ns() - own;
  round.target_cpu = target.cpu_ns() - theirs;
  return round;
}

}  // namespace scalio::bench
