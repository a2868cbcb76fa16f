// World: the virtual time, the chance and the record of one simulation, and the processes in it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/faults.h"
#include "task/executor.h"

namespace scalio::sim {

// The chance of a simulation, from its seed.
inline Random random_of(std::uint64_t seed) {
  constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15ULL;
  return Random(seed + kFirst);
}

class World {
 public:
  // Faults in `enabled` may strike. With `trace`, what happens is printed to stdout.
  World(std::uint64_t seed, FaultSet enabled, bool trace)
      : random_(random_of(seed)), enabled_(enabled), trace_(trace) {}

  Nanos now() const { return now_; }
  Random& random() { return random_; }

  // Runs `event` at `when` (not before now), after those that were scheduled for that time before.
  void at(Nanos when, std::function<void()> event);
  void after(Nanos delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }
  // Runs the next event. False if there is none.
  bool step();
  std::uint64_t steps() const { return steps_; }

  // Whether `fault` strikes now: in `per_million` of the cases, if it is enabled. Counts it if so.
  bool strikes(Fault fault, std::uint64_t per_million);
  bool enabled(Fault fault) const { return enabled_.test(static_cast<std::size_t>(fault)); }
  // No more faults from now on.
  void heal() { enabled_.reset(); }
  const FaultCounts& struck() const { return struck_; }

  // A duration around `typical`; sometimes much longer.
  Nanos delay(Nanos typical);

  bool traces() const { return trace_; }
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    if (trace_) print(fmt::format(format, std::forward<Args>(args)...));
  }

  // A fingerprint of everything that has happened: equal runs have equal ones.
  std::uint64_t digest() const { return digest_; }
  void digest(std::uint64_t what) { digest_ = mix(digest_ ^ what); }

 private:
  struct Event {
    Nanos when;
    std::uint64_t order;
    std::function<void()> run;
    bool operator>(const Event& o) const {
      return when != o.when ? when > o.when : order > o.order;
    }
  };
  void print(const std::string& line);

  Nanos now_ = kSecond;
  std::uint64_t steps_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t digest_ = 0;
  Random random_;
  FaultSet enabled_;
  FaultCounts struck_{};
  const bool trace_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

// A process of the simulated machines: the executor of its code. It can be frozen and killed, at
// any await.
//
// What a killed process was doing is never resumed. Its coroutines and objects stay where they are,
// as they were, and are not freed: a simulation is short, and a program that runs many of them runs
// a few in a process of the real machine (seed_runner.h).
class SimProcess final : public Executor {
 public:
  // `fate` is asked before each step of the process, and may kill it.
  SimProcess(World& world, std::string name, Fault freeze, std::function<void()> fate)
      : world_(world),
        name_(std::move(name)),
        freeze_(freeze),
        fate_(std::move(fate)),
        skew_(world.random().below(kSecond)),
        drift_(choose_drift(world)) {}

  // By this process's clock.
  Nanos now() override { return skew_ + world_.now() + drifted(world_.now()); }
  void post(std::coroutine_handle<> h) override {
    deliver(0, [h] { h.resume(); });
  }
  void post_at(Nanos when, std::coroutine_handle<> h) override {
    const Nanos t = now();
    deliver(when > t ? by_the_world(when - t) : 0, [h] { h.resume(); });
  }
  // Runs `what` in this process after `delay`, if it is alive then; later if it is frozen.
  void deliver(Nanos delay, std::function<void()> what);

  bool alive() const { return alive_; }
  void kill() { alive_ = false; }
  // In the middle of a step of this process its CPU is taken away from it for a while: the world
  // goes on, and what comes for this process waits.
  void preempt();
  const std::string& name() const { return name_; }

 private:
  static std::int64_t choose_drift(World& world);
  // What this clock has gained in `duration` of the world's.
  Nanos drifted(Nanos duration) const;
  // The time in which this clock advances by `duration`.
  Nanos by_the_world(Nanos duration) const;
  void run(std::function<void()> what);

  World& world_;
  const std::string name_;
  const Fault freeze_;
  const std::function<void()> fate_;
  const Nanos skew_;
  const std::int64_t drift_;  // ns that this clock gains in a millisecond
  Nanos frozen_until_ = 0;    // by the world's clock
  bool alive_ = true;
  bool preempted_ = false;
  std::vector<std::function<void()>> waiting_;  // came while it was preempted
  std::vector<std::function<void()>> dropped_;  // what it would have done
};

}  // namespace scalio::sim
