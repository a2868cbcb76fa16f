#include "baseline/ditto/ditto_cache.h"

#include <map>
#include <set>

#include "testing/ditto_fixture.h"

namespace scalio::ditto {
namespace {

// What a client has done since it was asked last.
class Since {
 public:
  explicit Since(DittoFixture& cache) : cache_(cache) { restart(); }
  void restart() {
    cache_.settle();
    before_ = cache_.caches[0]->counters();
  }
  struct Done {
    std::uint64_t reads, writes, swaps, messages;
    bool operator==(const Done&) const = default;
  };
  Done done() {
    cache_.settle();
    const DittoCounters& now = cache_.caches[0]->counters();
    const Done done{now.reads - before_.reads, now.writes - before_.writes,
                    now.swaps - before_.swaps, now.messages - before_.messages};
    read_bytes = now.read_bytes - before_.read_bytes;
    write_bytes = now.write_bytes - before_.write_bytes;
    restart();
    return done;
  }
  std::uint64_t read_bytes = 0, write_bytes = 0;

 private:
  DittoFixture& cache_;
  DittoCounters before_;
};
void PrintTo(const Since::Done& d, std::ostream* out) {
  *out << d.reads << " READs, " << d.writes << " WRITEs, " << d.swaps << " CAS, " << d.messages
       << " messages";
}
using Done = Since::Done;

// Keys of one bucket, no two of which have the same fingerprint.
std::vector<std::string> keys_of_bucket(const DittoGeometry& geometry, std::uint64_t bucket,
                                        std::size_t count) {
  std::vector<std::string> keys;
  std::set<std::uint8_t> fingerprints;
  for (int i = 0; keys.size() < count; ++i) {
    std::string key = "key" + std::to_string(i);
    const std::uint64_t hash = hash_of(key);
    if (geometry.bucket_of(hash) != bucket) continue;
    if (fingerprints.insert(fingerprint_of(hash)).second) keys.push_back(std::move(key));
  }
  return keys;
}
const std::string kValue(64, 'v');
// Of a key of a few bytes and this value: what a READ brings.
constexpr std::uint64_t kObjectRead = 128;

class DittoCostTest : public testing::Test {
 protected:
  DittoFixture cache{{.buckets = 64, .segments = 1}, 1, EvictionPolicy::lru};
  Since since{cache};
  std::vector<std::string> keys = keys_of_bucket(cache.geometry, 5, 10);
};

TEST_F(DittoCostTest, AMissIsOneRead) {
  EXPECT_EQ(cache.get("absent"), std::nullopt);
  EXPECT_EQ(cache.round_trips, 1U);
  EXPECT_EQ(since.done(), (Done{1, 0, 0, 0}));
  EXPECT_EQ(since.read_bytes, kBucketSize);
}

TEST_F(DittoCostTest, AHitIsTwoReadsAndAWriteAndEveryTenthACas) {
  ASSERT_TRUE(cache.set(keys[0], kValue).ok());
  since.restart();
  for (int i = 1; i <= 30; ++i) {
    EXPECT_EQ(cache.get(keys[0]), kValue);
    EXPECT_EQ(cache.round_trips, 2U);
    EXPECT_EQ(since.done(), (Done{2, 1, i % 10 == 0 ? 1U : 0U, 0}));
    EXPECT_EQ(since.read_bytes, kBucketSize + kObjectRead);
    EXPECT_EQ(since.write_bytes, 8U);
  }
  BucketSnapshot bucket(cache.geometry);
  std::copy_n(cache.region.data() + cache.geometry.bucket_at(5), kBucketSize,
              bucket.bytes().data());
  const SlotList slots = bucket.candidates(hash_of(keys[0]));
  ASSERT_EQ(slots.count, 1U);
  EXPECT_EQ(bucket.metadata(slots.slots[0]).frequency, 31U);  // and the set() itself
  EXPECT_EQ(bucket.metadata(slots.slots[0]).last_used, cache.time.now());
}

TEST_F(DittoCostTest, ASetOfANewKeyIsTwoRoundTrips) {
  ASSERT_TRUE(cache.set(keys[0], kValue).ok());  // which also asks for the segment
  since.restart();
  ASSERT_TRUE(cache.set(keys[1], kValue).ok());
  EXPECT_EQ(cache.round_trips, 2U);
  // The second READ looks for a duplicate, and nobody waits for it.
  EXPECT_EQ(since.done(), (Done{2, 2, 1, 0}));
  EXPECT_EQ(since.write_bytes, object_size(keys[1], kValue) + sizeof(SlotMetadata));
}

TEST_F(DittoCostTest, ASetOfAnExistingKeyIsThreeRoundTrips) {
  ASSERT_TRUE(cache.set(keys[0], kValue).ok());
  since.restart();
  ASSERT_TRUE(cache.set(keys[0], "another").ok());
  EXPECT_EQ(cache.round_trips, 3U);
  EXPECT_EQ(since.done(), (Done{2, 2, 1, 0}));
  EXPECT_EQ(cache.get(keys[0]), "another");
}

TEST_F(DittoCostTest, InAFullBucketTheCasReplacesTheLeastRecentlyUsed) {
  for (std::size_t i = 0; i < kSlots; ++i) ASSERT_TRUE(cache.set(keys[i], kValue).ok());
  EXPECT_EQ(cache.get(keys[0]), kValue);
  since.restart();
  ASSERT_TRUE(cache.set(keys[8], kValue).ok());
  EXPECT_EQ(cache.round_trips, 2U);
  EXPECT_EQ(since.done(), (Done{2, 2, 1, 0}));
  EXPECT_EQ(cache.caches[0]->counters().replaced_victims, 1U);
  EXPECT_EQ(cache.get(keys[0]), kValue);
  EXPECT_EQ(cache.get(keys[1]), std::nullopt);
  EXPECT_EQ(cache.get(keys[8]), kValue);
}

TEST_F(DittoCostTest, WhatCannotBeCachedIsRefused) {
  ASSERT_TRUE(cache.set("k", std::string(kMaxObject - kObjectHeader - 1, 'v')).ok());
  EXPECT_EQ(cache.get("k")->size(), kMaxObject - kObjectHeader - 1);
  since.restart();
  EXPECT_EQ(cache.set("k", std::string(kMaxObject - kObjectHeader, 'v')).code(), Code::too_large);
  EXPECT_EQ(since.done(), (Done{0, 0, 0, 0}));
}

TEST(DittoCache, AFullMemoryCostsOneRoundTripMore) {
  // Four times as many slots as units.
  DittoFixture cache({.buckets = 2048, .segments = 1}, 1, EvictionPolicy::lru);
  for (std::uint64_t i = 0; i < cache.geometry.units(); ++i) {
    ASSERT_TRUE(cache.set("key" + std::to_string(i), kValue).ok());
  }
  cache.settle();
  const DittoCounters& counters = cache.caches[0]->counters();
  // A victim in a bucket has given units as well.
  while (cache.caches[0]->free_units() > 0)
    ASSERT_TRUE(cache.set("a" + std::to_string(counters.sets), kValue).ok());
  Since since(cache);
  const std::uint64_t evictions = counters.evictions;
  ASSERT_TRUE(cache.set("one more", kValue).ok());
  EXPECT_EQ(cache.round_trips, 3U);
  EXPECT_EQ(since.done(), (Done{3, 2, 2, 0}));
  EXPECT_EQ(since.read_bytes, 2 * kBucketSize + kWindow * kBucketSize);
  EXPECT_EQ(counters.evictions, evictions + 1);
  EXPECT_EQ(cache.get("one more"), kValue);
  cache.expect_no_unit_lost();
}

TEST(DittoCache, SegmentsComeOneByOneAndBeforeTheyAreNeeded) {
  DittoFixture cache({.buckets = 8192, .segments = 3}, 1, EvictionPolicy::lru);
  ASSERT_TRUE(cache.set("first", kValue).ok());
  EXPECT_EQ(cache.memory.segments_left(), 2U);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(cache.set("key" + std::to_string(i), kValue).ok());
    EXPECT_LE(cache.round_trips, 3U);
  }
  EXPECT_EQ(cache.memory.segments_left(), 0U);
  EXPECT_EQ(cache.caches[0]->counters().messages, 3U);
  cache.expect_no_unit_lost();
}

TEST(DittoCache, RemoveMakesAKeyAbsent) {
  DittoFixture cache({.buckets = 4, .segments = 1}, 1, EvictionPolicy::lru);
  EXPECT_TRUE(cache.run(cache.caches[0]->remove("k")).ok());
  ASSERT_TRUE(cache.set("k", kValue).ok());
  EXPECT_TRUE(cache.run(cache.caches[0]->remove("k")).ok());
  EXPECT_EQ(cache.get("k"), std::nullopt);
  cache.expect_no_unit_lost();
}

// One client alone: what hits is what was set last, whatever was evicted.
void run_against_a_map(EvictionPolicy policy, std::uint64_t seed) {
  DittoFixture cache({.buckets = 16, .segments = 1}, 1, policy);
  std::map<std::string, std::string> model;
  Random random(seed);
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = "key" + std::to_string(random.below(300));
    const std::uint64_t chance = random.below(10);
    if (chance < 5) {
      const auto value = cache.get(key);
      if (value) {
        ASSERT_TRUE(model.contains(key));
        ASSERT_EQ(*value, model[key]);
      }
    } else if (chance < 9) {
      // Some are so large that the memory is full before the buckets are.
      const std::uint64_t most = random.below(3) == 0 ? 16'000 : 300;
      const std::string value(random.below(most), static_cast<char>('a' + i % 26));
      const Status set = cache.set(key, value);
      if (set.ok()) {
        model[key] = value;
      } else {
        ASSERT_EQ(set.code(), Code::busy) << set.to_string();
      }
    } else {
      ASSERT_TRUE(cache.run(cache.caches[0]->remove(key)).ok());
      model.erase(key);
    }
  }
  const DittoCounters& counters = cache.caches[0]->counters();
  EXPECT_GT(counters.hits, 1000U);
  EXPECT_GT(counters.replaced_victims, 100U);
  EXPECT_GT(counters.evictions, 100U);
  cache.expect_no_unit_lost();
}
TEST(DittoCache, OneClientAloneReadsWhatItHasWritten) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) run_against_a_map(EvictionPolicy::lru, seed);
}
TEST(DittoCache, OneClientAloneReadsWhatItHasWrittenAdaptively) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) run_against_a_map(EvictionPolicy::adaptive, seed);
}

// Operations of one client, one after the other, on few keys.
struct Mixed {
  DittoFixture& fixture;
  DittoCache& cache;
  Random random;
  std::uint64_t keys;
  std::uint64_t most;  // of a value's bytes
  int left;
  bool intact = true;  // nobody else writes to the region
  std::uint64_t hits = 0;

  Task<void> run() {
    for (; left > 0; --left) {
      const std::string key = "key" + std::to_string(random.below(keys));
      const std::uint64_t chance = random.below(10);
      if (chance < 5) {
        const Result<std::string> value = co_await cache.get(key);
        // The bytes may be old, but they are the key's.
        EXPECT_TRUE(!intact || !value.ok() || value->starts_with(key + "="));
        hits += value.ok() ? 1 : 0;
      } else if (chance < 9) {
        const std::string value = key + "=" + std::string(random.below(most), 'v');
        [[maybe_unused]] const Status set = co_await cache.set(key, value);
      } else {
        [[maybe_unused]] const Status removed = co_await cache.remove(key);
      }
    }
  }
};

struct Interleaved {
  std::uint64_t lost_swaps = 0, evictions = 0, hits = 0;
};
Interleaved interleave(const DittoGeometry& geometry, EvictionPolicy policy, std::uint64_t keys,
                       std::uint64_t most, std::uint64_t seed) {
  DittoFixture fixture(geometry, 4, policy);
  Random random(seed);
  std::vector<std::unique_ptr<Mixed>> mixed;
  for (const auto& cache : fixture.caches) {
    for (int i = 0; i < 8; ++i) {
      mixed.push_back(
          std::make_unique<Mixed>(fixture, *cache, Random(random.next()), keys, most, 500));
      fixture.time.spawn(mixed.back()->run());
    }
  }
  for (fixture.time.run_ready(); fixture.posted() > 0; fixture.time.run_ready()) {
    fixture.connections[random.below(fixture.connections.size())]->step();
    fixture.time.run_until(fixture.time.now() + 100);
  }
  Interleaved all;
  for (const auto& m : mixed) {
    EXPECT_EQ(m->left, 0);
    all.hits += m->hits;
  }
  for (const auto& cache : fixture.caches) {
    all.lost_swaps += cache->counters().lost_swaps;
    all.evictions += cache->counters().evictions;
  }
  fixture.expect_no_unit_lost();
  return all;
}
TEST(DittoCache, ClientsThatInterleaveLoseNoMemoryAndReadNoOtherKey) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    for (const EvictionPolicy policy : {EvictionPolicy::lru, EvictionPolicy::adaptive}) {
      const auto all = interleave({.buckets = 4, .segments = 4}, policy, 60, 2000, seed);
      EXPECT_GT(all.hits, 1000U);
      EXPECT_GT(all.lost_swaps, 100U);
    }
  }
}
TEST(DittoCache, ClientsThatEvictTheSameObjectsLoseNoMemory) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    for (const EvictionPolicy policy : {EvictionPolicy::lru, EvictionPolicy::adaptive}) {
      const auto all = interleave({.buckets = 32, .segments = 1}, policy, 400, 16'000, seed);
      EXPECT_GT(all.evictions, 1000U);
      EXPECT_GT(all.lost_swaps, 1000U);
    }
  }
}

// Whatever stands in the region, and whatever the server answers.
void meet_hostile_bytes(EvictionPolicy policy, std::uint64_t seed) {
  DittoFixture fixture({.buckets = 8, .segments = 2}, 2, policy);
  Random random(seed);
  std::vector<std::unique_ptr<Mixed>> mixed;
  for (const auto& cache : fixture.caches) {
    mixed.push_back(
        std::make_unique<Mixed>(fixture, *cache, Random(random.next()), 60, 2000, 1000, false));
    fixture.time.spawn(mixed.back()->run());
  }
  const std::uint64_t table_end = fixture.geometry.bucket_at(fixture.geometry.buckets);
  for (fixture.time.run_ready(); fixture.posted() > 0; fixture.time.run_ready()) {
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t at = random.below(table_end / 8) * 8;
      std::uint64_t word = random.next();
      // What may name a place in the data more often than chance would.
      if (random.coin()) {
        word = SlotWord::object(static_cast<std::uint8_t>(word), random.between(1, 254),
                                random.below(fixture.region.size()) / kUnit * kUnit)
                   .pack();
      }
      store(fixture.region.data() + at, word);
      const std::uint64_t data = random.below(fixture.region.size() / 8) * 8;
      store(fixture.region.data() + data, random.next());
    }
    fixture.connections[random.below(fixture.connections.size())]->step();
  }
  for (const auto& m : mixed) EXPECT_EQ(m->left, 0);
  for (const auto& cache : fixture.caches) {
    EXPECT_LE(cache->free_units(), fixture.geometry.units());
  }
}
TEST(DittoCache, HostileBytesEndNothing) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    meet_hostile_bytes(EvictionPolicy::lru, seed);
    meet_hostile_bytes(EvictionPolicy::adaptive, seed);
  }
}

TEST(DittoCache, AnAnswerThatMakesNoSenseIsAnError) {
  const DittoGeometry geometry{.buckets = 8, .segments = 1};
  VirtualTime time;
  Bytes region(geometry.size());
  DittoMemory memory(geometry, region, [&] { return time.now(); });
  fabric::SteppedConnection connection(time, region, memory.hello(),
                                       [](ByteView) { return Result<Bytes>(encode_segment(8)); });
  auto cache = DittoCache::open(connection, {});
  ASSERT_TRUE(cache.ok());
  std::optional<Status> set;
  time.start((*cache)->set("k", kValue), set);
  for (time.run_ready(); connection.posted() > 0; time.run_ready()) connection.round_trip();
  ASSERT_TRUE(set);
  EXPECT_EQ(set->code(), Code::corrupt);

  fabric::SteppedConnection stranger(time, region, Bytes(100), nullptr);
  EXPECT_EQ(DittoCache::open(stranger, {}).code(), Code::invalid);
  fabric::SteppedConnection short_one(time, ByteSpan(region).first(8192), memory.hello(), nullptr);
  EXPECT_EQ(DittoCache::open(short_one, {}).code(), Code::invalid);
}

TEST(DittoCache, ALostConnectionEndsEveryOperation) {
  for (std::size_t steps = 0; steps < 12; ++steps) {
    DittoFixture fixture({.buckets = 8, .segments = 1}, 1, EvictionPolicy::adaptive);
    ASSERT_TRUE(fixture.set("k", kValue).ok());
    std::optional<Status> set, removed;
    std::optional<Result<std::string>> value;
    fixture.time.start(fixture.caches[0]->set("k", "another"), set);
    fixture.time.start(fixture.caches[0]->get("k"), value);
    fixture.time.start(fixture.caches[0]->remove("other"), removed);
    for (std::size_t i = 0; i < steps; ++i) {
      fixture.time.run_ready();
      fixture.connections[0]->step();
    }
    fixture.connections[0]->lose(Status(Code::unavailable, "gone"));
    fixture.settle();
    ASSERT_TRUE(set && value && removed);
    const Status after = fixture.set("k", kValue);
    EXPECT_EQ(after.code(), Code::unavailable);
    EXPECT_NE(after.message().find("gone"), std::string::npos);
  }
}

// Both keep the object of the first slot.
TEST(DittoCache, TwoClientsThatInsertAKeyAtOnceLeaveItOnce) {
  for (int i = 0; i < 50; ++i) {
    DittoFixture fixture({.buckets = 4, .segments = 2}, 2, EvictionPolicy::lru);
    const std::string key = "key" + std::to_string(i);
    std::optional<Status> first, second;
    fixture.time.start(fixture.caches[0]->set(key, "a"), first);
    fixture.time.start(fixture.caches[1]->set(key, "b"), second);
    fixture.settle();
    ASSERT_TRUE(first && second && first->ok() && second->ok());
    EXPECT_EQ(fixture.cached_units(), 1U);
    fixture.expect_no_unit_lost();
  }
}

}  // namespace
}  // namespace scalio::ditto
