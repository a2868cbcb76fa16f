#include "baseline/leed_ditto/write_through.h"

#include <array>
#include <map>

#include "linearizability/linearizability.h"
#include "testing/ditto_fixture.h"

namespace scalio::ditto {
namespace {

using history::Operation;

// A store whose operations take effect when they are called, and answer when they are released.
class SlowBacking final : public baseline::KvClient {
 public:
  explicit SlowBacking(Executor& executor) : executor_(executor) {}

  Task<Result<std::string>> get(std::string_view key) override {
    const auto it = records_.find(std::string(key));
    Result<std::string> found = Status(Code::not_found, "");
    if (it != records_.end()) found = it->second;
    ++gets;
    co_await wait();
    co_return found;
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    records_[std::string(key)] = value;
    co_await wait();
    co_return failure;
  }
  Task<Status> remove(std::string_view key) override {
    records_.erase(std::string(key));
    co_await wait();
    co_return failure;
  }
  baseline::KvCounters counters() const override { return {}; }

  Nanos delay = kMicrosecond;
  Random* random = nullptr;  // if there is one, it draws the delay: this much at most
  Status failure;
  int gets = 0;

 private:
  Task<void> wait() {
    co_await executor_.sleep(random != nullptr ? random->between(1, delay) : delay);
  }

  Executor& executor_;
  std::map<std::string, std::string> records_;
};

// Two clients, and what both saw.
class WriteThroughTest : public testing::Test {
 protected:
  // Starts an operation on "k". It is in the history, and ended when its result is.
  void start_put(std::size_t client, const std::string& value, std::uint64_t version) {
    fixture.time.spawn(put(clients[client], client, "k", value, version));
  }
  // Of a store, or of a cache before it.
  template <class Store>
  Task<void> put(Store& store, std::size_t client, std::string key, std::string value,
                 std::uint64_t version) {
    const std::size_t i = begin(client, Operation::Kind::put, key);
    history[i].value = value;
    history[i].version = version;
    const Status outcome = co_await store.put(key, value);
    EXPECT_TRUE(outcome.ok());
    end(i, outcome.code());
  }
  // The versions of values, which the store does not tell, are those of their puts.
  template <class Store>
  Task<void> get(Store& store, std::size_t client, std::string key) {
    const std::size_t i = begin(client, Operation::Kind::get, key);
    const Result<std::string> value = co_await store.get(key);
    if (value.ok()) {
      history[i].value = *value;
      for (const Operation& o : history) {
        if (o.kind == Operation::Kind::put && o.value == *value) history[i].version = o.version;
      }
    }
    end(i, value.code());
  }
  std::string get_now(std::size_t client) {
    fixture.time.spawn(get(clients[client], client, "k"));
    pass(kSecond);
    return history.back().value.value_or("nothing");
  }
  // Lets time go by; what is posted to the cache happens within a microsecond.
  void pass(Nanos duration) {
    for (const Nanos end = fixture.time.now() + duration; fixture.time.now() < end;) {
      fixture.time.run_ready();
      if (!fixture.round_trip()) {
        fixture.time.run_until(std::min(end, fixture.time.now() + kMicrosecond));
      }
    }
    fixture.settle();
  }

  std::vector<linearizability::Violation> violations() {
    auto found = linearizability::check(history);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return found.ok() ? *found : std::vector<linearizability::Violation>();
  }

  DittoFixture fixture{{.buckets = 64, .segments = 2}, 2, EvictionPolicy::lru};
  SlowBacking backing{fixture.time};
  std::vector<WriteThrough> clients{{*fixture.caches[0], backing}, {*fixture.caches[1], backing}};
  std::vector<Operation> history;

 private:
  std::size_t begin(std::size_t client, Operation::Kind kind, const std::string& key) {
    Operation o;
    o.client = "c" + std::to_string(client);
    o.kind = kind;
    o.key = key;
    o.called = static_cast<history::Time>(fixture.time.now());
    history.push_back(std::move(o));
    return history.size() - 1;
  }
  void end(std::size_t i, Code code) {
    history[i].outcome =
        code == Code::not_found ? Operation::Outcome::not_found : Operation::Outcome::ok;
    history[i].returned = static_cast<history::Time>(fixture.time.now());
  }
};

TEST_F(WriteThroughTest, OneClientAtATimeIsLinearizable) {
  EXPECT_EQ(get_now(0), "nothing");
  start_put(0, "old", 1);
  pass(kSecond);
  EXPECT_EQ(get_now(1), "old");
  start_put(1, "new", 2);
  pass(kSecond);
  EXPECT_EQ(get_now(0), "new");
  EXPECT_EQ(backing.gets, 1);  // the others hit
  EXPECT_TRUE(violations().empty());
}

TEST_F(WriteThroughTest, WhatIsMissedIsCached) {
  start_put(0, "value", 1);
  pass(kSecond);
  ASSERT_TRUE(fixture.run(fixture.caches[0]->remove("k")).ok());
  EXPECT_EQ(get_now(1), "value");
  EXPECT_EQ(get_now(1), "value");
  EXPECT_EQ(backing.gets, 1);
  ASSERT_TRUE(fixture.run(clients[0].remove("k")).ok());
  EXPECT_EQ(fixture.get("k"), std::nullopt);
}

TEST_F(WriteThroughTest, WhatTheStoreRefusesOrTheCacheCannotTakeIsNotCached) {
  const std::string large(kMaxObject, 'v');
  ASSERT_TRUE(fixture.run(clients[0].put("k", "small")).ok());
  ASSERT_TRUE(fixture.run(clients[0].put("k", large)).ok());
  EXPECT_EQ(clients[0].cache_failures(), 1U);
  EXPECT_EQ(get_now(1), large);
  backing.failure = Status(Code::full, "no room");
  EXPECT_EQ(fixture.run(clients[0].put("j", "small")).code(), Code::full);
  EXPECT_EQ(fixture.get("j"), std::nullopt);
}

TEST_F(WriteThroughTest, ACacheThatIsLostMakesReadsSlowerOnly) {
  ASSERT_TRUE(fixture.run(clients[0].put("k", "value")).ok());
  for (const auto& connection : fixture.connections) {
    connection->lose(Status(Code::unavailable, "gone"));
  }
  EXPECT_EQ(get_now(0), "value");
  EXPECT_GT(clients[0].cache_failures(), 0U);
}

// The first counterexample. Both clients write to the store and then to the cache. The first is
// slower between the two, and so its older value is what the cache keeps.
TEST_F(WriteThroughTest, TwoWritersLeaveTheOlderValueInTheCache) {
  backing.delay = 10 * kMillisecond;
  start_put(0, "old", 1);
  pass(kMillisecond);
  backing.delay = kMillisecond;
  start_put(1, "new", 2);
  pass(kSecond);
  EXPECT_EQ(get_now(1), "old");
  // Until it is evicted: then the store's is read, and nobody wrote in between.
  ASSERT_TRUE(fixture.run(fixture.caches[0]->remove("k")).ok());
  EXPECT_EQ(get_now(1), "new");

  EXPECT_EQ(violations().size(), 1U);
  // Also if the writes, which overlap, took effect in the other order.
  for (Operation& o : history) o.version = 3 - o.version;
  EXPECT_EQ(violations().size(), 1U);
}

// The second. A reader has missed, and read the store; before it has cached what it read, a writer
// writes to both.
TEST_F(WriteThroughTest, AReaderPutsTheOlderValueBackIntoTheCache) {
  start_put(0, "old", 1);
  pass(kSecond);
  ASSERT_TRUE(fixture.run(fixture.caches[0]->remove("k")).ok());
  backing.delay = 10 * kMillisecond;
  fixture.time.spawn(get(clients[0], 0, "k"));
  pass(kMillisecond);
  backing.delay = kMillisecond;
  start_put(1, "new", 2);
  pass(kSecond);
  EXPECT_EQ(get_now(1), "old");
  ASSERT_EQ(violations().size(), 1U);
  EXPECT_EQ(violations()[0].key, "k");
  EXPECT_LE(violations()[0].witness.size(), 3U);
}

// Neither is made up: two clients and any load will do. A key has one writer, so that the order of
// its values is beyond doubt.
class WriteThroughLoad : public WriteThroughTest {
 protected:
  // A client that writes one key and reads both.
  template <class Store>
  Task<void> use(Store& store, std::size_t client, Random random) {
    const std::string own = "key" + std::to_string(client);
    for (std::uint64_t i = 1; i <= 300; ++i) {
      co_await fixture.time.sleep(random.below(kDelay));
      if (random.below(3) == 0) {
        co_await put(store, client, own, own + "=" + std::to_string(i), i);
      } else {
        co_await get(store, client, "key" + std::to_string(random.below(2)));
      }
    }
  }
  // As memory that is full does.
  Task<void> evict(Random random) {
    for (int i = 0; i < 300; ++i) {
      co_await fixture.time.sleep(random.below(2 * kDelay));
      const std::string key = "key" + std::to_string(random.below(2));
      const Status removed = co_await fixture.caches[0]->remove(key);
      EXPECT_TRUE(removed.ok());
    }
  }
  template <class Store>
  void load(std::array<Store*, 2> stores, std::uint64_t seed) {
    Random random(seed), delays(seed);
    backing.random = &delays;
    backing.delay = kDelay;
    for (std::size_t i = 0; i < 2; ++i) {
      fixture.time.spawn(use(*stores[i], i, Random(random.next())));
    }
    fixture.time.spawn(evict(Random(random.next())));
    pass(1000 * kDelay);
    EXPECT_EQ(fixture.time.spawned(), 0U);
    backing.random = nullptr;
  }
  static constexpr Nanos kDelay = 100 * kMicrosecond;
};

TEST_F(WriteThroughLoad, IsNotLinearizable) {
  load<WriteThrough>({&clients[0], &clients[1]}, 1);
  const auto found = violations();
  ASSERT_FALSE(found.empty());
  EXPECT_LE(found[0].witness.size(), 6U) << linearizability::to_string(found[0]);
  RecordProperty("violation", linearizability::to_string(found[0]));
}
TEST_F(WriteThroughLoad, IsLinearizableOnTheStoreAlone) {
  load<baseline::KvClient>({&backing, &backing}, 1);
  EXPECT_TRUE(violations().empty());
}

}  // namespace
}  // namespace scalio::ditto
