#include "sim/world.h"

#include <cstdio>

namespace scalio::sim {

namespace {
constexpr std::uint64_t kSlowPerMillion = 2'000;
constexpr std::uint64_t kFreezePerMillion = 300;
constexpr std::uint64_t kLongestPreemption = 300;  // steps of the world
constexpr Nanos kLongestFreeze = 400 * kMillisecond;
constexpr std::uint64_t kDriftPerMillion = 300'000;
// In nanoseconds a millisecond: far more than a real clock.
constexpr std::int64_t kLargestDrift = 100'000;
}  // namespace

void World::at(Nanos when, std::function<void()> event) {
  SCALIO_ASSERT(when >= now_);
  events_.push({when, order_++, std::move(event)});
}

bool World::step() {
  if (events_.empty()) return false;
  // The queue's top is const, but is removed at once.
  Event event = std::move(const_cast<Event&>(events_.top()));
  events_.pop();
  now_ = event.when;
  ++steps_;
  digest(event.when ^ event.order << 40);
  event.run();
  return true;
}

bool World::strikes(Fault fault, std::uint64_t per_million) {
  if (!enabled(fault) || !random_.chance(per_million)) return false;
  ++struck_[static_cast<std::size_t>(fault)];
  digest(static_cast<std::uint64_t>(fault) + 1);
  note("fault: {}", kFaultNames[static_cast<std::size_t>(fault)]);
  return true;
}

Nanos World::delay(Nanos typical) {
  const Nanos usual = typical / 2 + random_.below(typical + 1);
  return strikes(Fault::slow, kSlowPerMillion) ? usual * random_.between(10, 2000) : usual;
}

void World::print(const std::string& line) {
  fmt::print("{:>12.3f} us  {}\n", static_cast<double>(now_ - kSecond) / 1e3, line);
}

std::int64_t SimProcess::choose_drift(World& world) {
  if (!world.strikes(Fault::clock_drift, kDriftPerMillion)) return 0;
  return static_cast<std::int64_t>(world.random().between(0, 2 * kLargestDrift)) - kLargestDrift;
}

Nanos SimProcess::drifted(Nanos duration) const {
  return static_cast<Nanos>(static_cast<std::int64_t>(duration) * drift_ /
                            static_cast<std::int64_t>(kMillisecond));
}

Nanos SimProcess::by_the_world(Nanos duration) const {
  if (drift_ == 0) return duration;
  constexpr Nanos kRounding = 3;  // rather late than early
  return duration * kMillisecond / (kMillisecond + static_cast<Nanos>(drift_)) + kRounding;
}

void SimProcess::deliver(Nanos delay, std::function<void()> what) {
  world_.after(delay, [this, what = std::move(what)]() mutable { run(std::move(what)); });
}

void SimProcess::preempt() {
  if (preempted_) return;
  preempted_ = true;
  for (std::uint64_t steps = world_.random().below(kLongestPreemption); steps > 0 && world_.step();
       --steps) {
  }
  preempted_ = false;
  for (auto& what : std::exchange(waiting_, {})) deliver(0, std::move(what));
}

void SimProcess::run(std::function<void()> what) {
  if (preempted_) {
    waiting_.push_back(std::move(what));
    return;
  }
  if (alive_) fate_();
  if (!alive_) {
    dropped_.push_back(std::move(what));
    return;
  }
  if (world_.now() >= frozen_until_ && world_.strikes(freeze_, kFreezePerMillion)) {
    frozen_until_ = world_.now() + world_.random().below(kLongestFreeze);
    world_.note("{} stands still for {} us", name_, (frozen_until_ - world_.now()) / kMicrosecond);
  }
  if (world_.now() < frozen_until_) {
    world_.at(frozen_until_, [this, what = std::move(what)]() mutable { run(std::move(what)); });
    return;
  }
  what();
}

}  // namespace scalio::sim
