#include "baseline/race/counterexamples.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

#include "baseline/race/raced_leed.h"
#include "baseline/race/raced_paper.h"
#include "baseline/race/raced_scalio.h"
#include "linearizability/linearizability.h"
#include "linearizability/write_order.h"

namespace scalio::race {
namespace {

using history::Operation;

constexpr RaceShape kShape{};
constexpr std::uint64_t kSeeds = 20;

std::unique_ptr<RacedStore> leed_ditto(sim::World& world) {
  return make_raced_leed_ditto(world, ditto::EvictionPolicy::lru);
}

// A store whose clients keep what they have read, and read that again for a while.
class ForgetfulStore final : public RacedStore {
 public:
  explicit ForgetfulStore(std::unique_ptr<RacedStore> store) : store_(std::move(store)) {}
  Task<Status> start(sim::SimProcess& process) override { return store_->start(process); }
  Task<void> stop(sim::SimProcess& process) override { return store_->stop(process); }
  Task<Result<std::unique_ptr<RacedClient>>> connect(sim::SimProcess& process) override {
    auto client = co_await store_->connect(process);
    if (!client.ok()) co_return client.status();
    co_return std::unique_ptr<RacedClient>(std::make_unique<Client>(*std::move(client)));
  }

 private:
  class Client final : public RacedClient, private baseline::KvClient {
   public:
    explicit Client(std::unique_ptr<RacedClient> client) : client_(std::move(client)) {}
    baseline::KvClient& kv() override { return *this; }
    std::vector<linearizability::TimelinePart> parts(history::Time, history::Time) const override {
      return {};
    }
    Task<void> close() override { return client_->close(); }

   private:
    Task<Result<std::string>> get(std::string_view key) override {
      if (++gets_ % 10 == 0) kept_.clear();
      const auto kept = kept_.find(key);
      if (kept != kept_.end()) co_return kept->second;
      Result<std::string> value = co_await client_->kv().get(key);
      if (value.ok()) kept_.emplace(key, *value);
      co_return value;
    }
    Task<Status> put(std::string_view key, std::string_view value) override {
      kept_.erase(std::string(key));
      return client_->kv().put(key, value);
    }
    Task<Status> remove(std::string_view key) override { return client_->kv().remove(key); }
    baseline::KvCounters counters() const override { return client_->kv().counters(); }

    const std::unique_ptr<RacedClient> client_;
    std::map<std::string, std::string, std::less<>> kept_;
    int gets_ = 0;
  };
  const std::unique_ptr<RacedStore> store_;
};

class CounterexampleTest : public testing::Test {
 protected:
  CounterexampleTest() { spdlog::set_level(spdlog::level::off); }
  ~CounterexampleTest() override { spdlog::set_level(spdlog::level::info); }

  static RaceResult race(const StoreMaker& store, std::uint64_t seed) {
    Result<RaceResult> result = run_race(store, seed, kShape);
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    return result.ok() ? *std::move(result) : RaceResult();
  }
  static std::vector<Counterexample> found(const StoreMaker& store, std::uint64_t seed) {
    auto examples = find_counterexamples(race(store, seed).operations);
    EXPECT_TRUE(examples.ok()) << examples.status().to_string();
    return examples.ok() ? *std::move(examples) : std::vector<Counterexample>();
  }
  // Of all seeds, by cause.
  static std::map<Cause, Counterexample> best(const StoreMaker& store) {
    std::map<Cause, Counterexample> best;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      for (const Counterexample& example : found(store, seed)) {
        auto [at, added] = best.try_emplace(example.cause, example);
        if (is_better(example, at->second)) at->second = example;
      }
    }
    return best;
  }
  static std::vector<Operation> seen(const std::vector<RacedOperation>& race) {
    std::vector<Operation> operations;
    for (const RacedOperation& o : race) operations.push_back(o.seen);
    return operations;
  }
  static bool explained(const std::vector<Operation>& operations) {
    const auto versioned = linearizability::with_versions(operations);
    EXPECT_TRUE(versioned.ok());
    const auto violations = linearizability::check(*versioned);
    EXPECT_TRUE(violations.ok());
    return violations->empty();
  }
  // Without any one of these operations the others are explained, but for a reader's that only
  // tells how it came about.
  static std::size_t needed(const Counterexample& example) {
    const std::vector<Operation> all = seen(example.operations);
    std::size_t n = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::vector<Operation> others;
      for (std::size_t k = 0; k < all.size(); ++k) {
        const bool lost = all[i].is_write() && all[k].value == all[i].value;
        if (k != i && !lost) others.push_back(all[k]);
      }
      n += explained(others) ? 1 : 0;
    }
    return n;
  }
};

// What each client asks, in order.
std::map<std::string, std::vector<std::string>> asked(const RaceResult& race) {
  std::map<std::string, std::vector<std::string>> asked;
  for (const RacedOperation& o : race.operations) {
    asked[o.seen.client].push_back(o.seen.key +
                                   (o.seen.is_write() ? " = " + *o.seen.value : std::string()));
  }
  return asked;
}

TEST_F(CounterexampleTest, ASeedIsARace) {
  const RaceResult first = race(leed_ditto, 1), again = race(leed_ditto, 1),
                   other = race(leed_ditto, 2);
  const auto as_text = [](const RaceResult& race) {
    std::string text;
    for (const RacedOperation& o : race.operations) text += to_string(o.seen, 0) + "\n";
    return text;
  };
  EXPECT_EQ(as_text(first), as_text(again));
  EXPECT_NE(as_text(first), as_text(other));
}

TEST_F(CounterexampleTest, AllStoresHaveOneLoadAndHitsAndMisses) {
  const StoreMaker stores[] = {leed_ditto, make_raced_leed, make_raced_paper, make_raced_scalio};
  const RaceResult first = race(stores[0], 1);
  ASSERT_EQ(first.operations.size(), kShape.clients * kShape.operations);
  for (const StoreMaker& store : stores) {
    const RaceResult result = race(store, 1);
    EXPECT_EQ(asked(result), asked(first));
    std::uint64_t gets = 0;
    for (const RacedOperation& o : result.operations) {
      const bool absent = !o.seen.is_write() && o.seen.outcome == Operation::Outcome::not_found;
      EXPECT_TRUE(absent || o.seen.outcome == Operation::Outcome::ok) << to_string(o.seen, 0);
      gets += o.seen.is_write() ? 0 : 1;
    }
    EXPECT_EQ(result.counters.gets, gets);
    if (result.counters.hits == 0) continue;  // LEED alone
    EXPECT_GT(result.counters.hits, gets / 4);
    EXPECT_LT(result.counters.hits, gets * 9 / 10);
  }
}

TEST_F(CounterexampleTest, PartsGoFromCallToReturn) {
  for (const RacedOperation& o : race(leed_ditto, 1).operations) {
    history::Time at = o.seen.called;
    for (const linearizability::TimelinePart& part : o.parts) {
      EXPECT_EQ(part.from, at);
      EXPECT_LT(part.from, part.to);
      at = part.to;
    }
    EXPECT_EQ(at, o.seen.returned);
  }
}

TEST_F(CounterexampleTest, LeedWithDittoFailsInBothWays) {
  const std::map<Cause, Counterexample> examples = best(leed_ditto);
  ASSERT_TRUE(examples.contains(Cause::two_writers));
  ASSERT_TRUE(examples.contains(Cause::reader));
  for (const auto& [cause, example] : examples) {
    EXPECT_LE(example.operations.size(), 5U);
    EXPECT_FALSE(explained(seen(example.operations)));
    EXPECT_GE(needed(example), example.operations.size() - (cause == Cause::reader ? 1 : 0));
    for (const RacedOperation& o : example.operations) EXPECT_EQ(o.seen.key, example.key);
    ASSERT_LT(example.wrong, example.operations.size());
    EXPECT_EQ(example.operations[example.wrong].seen.value, example.older);
    EXPECT_FALSE(example.reasons.empty());
  }
}

TEST_F(CounterexampleTest, TheOthersDoNot) {
  EXPECT_TRUE(best(make_raced_leed).empty());
  EXPECT_TRUE(best(make_raced_paper).empty());
  EXPECT_TRUE(best(make_raced_scalio).empty());
}

TEST_F(CounterexampleTest, AScalioWithStaleReadsIsFound) {
  const StoreMaker forgetful = [](sim::World& world) {
    return std::make_unique<ForgetfulStore>(make_raced_scalio(world));
  };
  const std::vector<Counterexample> examples = found(forgetful, 1);
  ASSERT_FALSE(examples.empty());
  for (const Counterexample& example : examples) {
    EXPECT_EQ(example.cause, Cause::unknown);
    EXPECT_LE(example.operations.size(), 6U);
    EXPECT_FALSE(explained(seen(example.operations)));
    EXPECT_EQ(needed(example), example.operations.size());
  }
}

// --- By hand ---

using Place = linearizability::TimelinePart::Place;

RacedOperation put(std::string client, std::string value, history::Time called,
                   history::Time stored, history::Time returned) {
  RacedOperation o;
  o.seen.client = std::move(client);
  o.seen.kind = Operation::Kind::put;
  o.seen.key = "k";
  o.seen.value = std::move(value);
  o.seen.outcome = Operation::Outcome::ok;
  o.seen.called = called;
  o.seen.returned = returned;
  o.parts = {{Place::store, called, stored}, {Place::cache, stored, returned}};
  return o;
}
RacedOperation hit(std::string client, std::string value, history::Time called,
                   history::Time returned) {
  RacedOperation o = put(std::move(client), std::move(value), called, called, returned);
  o.seen.kind = Operation::Kind::get;
  o.parts = {{Place::cache, called, returned}};
  return o;
}
RacedOperation miss(std::string client, std::string value, history::Time called,
                    history::Time asked, history::Time answered, history::Time returned) {
  RacedOperation o = hit(std::move(client), std::move(value), called, returned);
  o.parts = {{Place::cache, called, asked},
             {Place::store, asked, answered},
             {Place::cache, answered, returned}};
  return o;
}

Counterexample only(const std::vector<RacedOperation>& race) {
  const auto examples = find_counterexamples(race);
  EXPECT_TRUE(examples.ok() && examples->size() == 1);
  return examples.ok() && examples->size() == 1 ? examples->front() : Counterexample();
}

TEST(CounterexampleByHand, TwoWriters) {
  const Counterexample example =
      only({put("c1", "a", 10, 20, 60), put("c2", "b", 15, 30, 40), hit("c3", "a", 70, 80),
            hit("c4", "a", 75, 85), miss("c3", "b", 90, 95, 110, 120)});
  EXPECT_EQ(example.cause, Cause::two_writers);
  EXPECT_EQ(example.operations.size(), 4U);
  EXPECT_EQ(example.older, "a");
  EXPECT_EQ(example.newer, "b");
  EXPECT_EQ(example.reasons.front(),
            "c1 and c2 write at once. The store takes old first and then new, but the cache keeps "
            "old of the two.");
  EXPECT_EQ(example.reasons.back(),
            "Later c3 reads new from the store: old was evicted meanwhile. No order of the writes "
            "explains both.");
}

TEST(CounterexampleByHand, AReaderIsAddedThoughTheViolationDoesNotNeedIt) {
  const Counterexample example = only({put("c1", "a", 10, 20, 30), miss("c2", "a", 40, 45, 60, 90),
                                       put("c1", "b", 50, 65, 70), hit("c3", "a", 100, 110)});
  EXPECT_EQ(example.cause, Cause::reader);
  ASSERT_EQ(example.operations.size(), 4U);
  EXPECT_EQ(example.operations[1].seen.client, "c2");
  EXPECT_EQ(example.wrong, 3U);
  EXPECT_EQ(example.reasons.back(), "But new had been acknowledged before.");
  EXPECT_EQ(to_timeline(example, "T").title, "T: old is a, new is b");
}

TEST(CounterexampleByHand, WithoutACacheThereIsNoSuchCause) {
  std::vector<RacedOperation> race = {put("c1", "a", 10, 20, 30), put("c1", "b", 50, 65, 70),
                                      hit("c3", "a", 100, 110)};
  for (RacedOperation& o : race) o.parts.clear();
  const Counterexample example = only(race);
  EXPECT_EQ(example.cause, Cause::unknown);
  EXPECT_EQ(example.operations.size(), 3U);
  EXPECT_EQ(example.wrong, 2U);
}

}  // namespace
}  // namespace scalio::race
