#include "baseline/race/race.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace scalio::race {

using history::Operation;

namespace {
constexpr Nanos kLongestPause = 200 * kMicrosecond;  // about what an operation takes
constexpr Nanos kPoll = kMillisecond;
constexpr Nanos kSettle = kSecond;  // what nobody waits for has ended by then
constexpr std::uint64_t kMostSteps = 50'000'000;

class Race {
 public:
  Race(const StoreMaker& make_store, std::uint64_t seed, const RaceShape& shape)
      : world_(seed, sim::FaultSet().set(static_cast<std::size_t>(sim::Fault::slow)), false),
        shape_(shape),
        seed_(seed),
        referee_(world_, "referee", sim::Fault::freeze_client, [] {}),
        store_(make_store(world_)) {}

  Result<RaceResult> run() {
    referee_.spawn(direct());
    while (world_.step()) SCALIO_ASSERT(world_.steps() < kMostSteps);
    if (!status_.ok()) return status_;
    SCALIO_ASSERT(ended_);
    return std::move(result_);
  }

 private:
  struct Racer {
    std::unique_ptr<sim::SimProcess> process;
    std::unique_ptr<RacedClient> client;  // null if it could not connect
  };

  Task<void> direct() {
    status_ = co_await store_->start(referee_);
    if (!status_.ok()) co_return;
    for (std::uint32_t i = 1; i <= shape_.clients && status_.ok(); ++i) co_await add(i);
    if (status_.ok()) {
      running_ = racers_.size();
      for (const Racer& racer : racers_) racer.process->spawn(drive(racer, racer_seed(racer)));
      while (running_ > 0) co_await referee_.sleep(kPoll);
    }
    for (const Racer& racer : racers_) {
      if (!racer.client) continue;
      result_.counters += racer.client->kv().counters();
      co_await racer.client->close();
    }
    co_await referee_.sleep(kSettle);
    for (Racer& racer : racers_) racer.client.reset();
    co_await referee_.sleep(kSettle);
    co_await store_->stop(referee_);
    ended_ = true;
  }

  Task<void> add(std::uint32_t number) {
    auto process = std::make_unique<sim::SimProcess>(world_, fmt::format("c{}", number),
                                                     sim::Fault::freeze_client, [] {});
    sim::SimProcess& its = *process;
    racers_.push_back({std::move(process), nullptr});
    auto client = co_await store_->connect(its);
    status_ = client.status();
    if (client.ok()) racers_.back().client = *std::move(client);
  }

  std::uint64_t racer_seed(const Racer& racer) const {
    return hash_key(racer.process->name(), seed_);
  }

  Task<void> drive(const Racer& racer, std::uint64_t seed) {
    Random random(seed);
    for (std::uint32_t i = 1; i <= shape_.operations; ++i) {
      co_await racer.process->sleep(random.below(kLongestPause));
      // Some keys get more of the load.
      const std::uint64_t key = std::min(random.below(shape_.keys), random.below(shape_.keys));
      Operation o;
      o.client = racer.process->name();
      o.kind = random.coin() ? Operation::Kind::put : Operation::Kind::get;
      o.key = fmt::format("key-{}", key);
      if (o.is_write()) o.value = fmt::format("{}-{}", o.client, i);
      co_await carry_out(racer, std::move(o));
    }
    --running_;
  }

  Task<void> carry_out(const Racer& racer, Operation operation) {
    const std::string key = operation.key, value = operation.value.value_or("");
    const bool write = operation.is_write();
    operation.called = now();
    const std::size_t at = result_.operations.size();
    result_.operations.push_back({std::move(operation), {}});
    Code code = Code::ok;
    std::string found;
    if (write) {
      const Status outcome = co_await racer.client->kv().put(key, value);
      code = outcome.code();
    } else {
      Result<std::string> outcome = co_await racer.client->kv().get(key);
      code = outcome.code();
      if (outcome.ok()) found = *std::move(outcome);
    }
    RacedOperation& raced = result_.operations[at];
    Operation& o = raced.seen;
    o.returned = now();
    o.outcome = code == Code::ok          ? Operation::Outcome::ok
                : write                   ? Operation::Outcome::unknown
                : code == Code::not_found ? Operation::Outcome::not_found
                                          : Operation::Outcome::error;
    if (!write && code == Code::ok) o.value = std::move(found);
    raced.parts = racer.client->parts(o.called, o.returned);
  }

  history::Time now() const { return static_cast<history::Time>(world_.now()); }

  sim::World world_;
  const RaceShape shape_;
  const std::uint64_t seed_;
  sim::SimProcess referee_;
  const std::unique_ptr<RacedStore> store_;
  std::vector<Racer> racers_;
  std::size_t running_ = 0;
  RaceResult result_;
  Status status_;
  bool ended_ = false;
};
}  // namespace

Result<RaceResult> run_race(const StoreMaker& make_store, std::uint64_t seed,
                            const RaceShape& shape) {
  return Race(make_store, seed, shape).run();
}

}  // namespace scalio::race
