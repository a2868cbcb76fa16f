// What is evicted, by what it does to hits: against simulations that know of no bytes.
#include <gtest/gtest.h>

#include <map>

#include "testing/ditto_fixture.h"
#include "ycsb/generators.h"

namespace scalio::ditto {
namespace {

const std::string kValue(64, 'v');
std::string key_of(std::uint64_t n) { return "user" + std::to_string(n); }

// GETs, and a SET after each miss. Whether each hit.
bool use(DittoFixture& cache, std::uint64_t n) {
  const std::string key = key_of(n);
  if (cache.get(key)) return true;
  EXPECT_TRUE(cache.set(key, kValue).ok());
  return false;
}

// Buckets of 8, and at most so many keys in all: beyond, the least recently used of a random window
// of buckets goes.
class SimulatedLru {
 public:
  SimulatedLru(const DittoGeometry& geometry, std::uint64_t most)
      : geometry_(geometry), most_(most), buckets_(geometry.buckets), random_(99) {}

  bool use(std::uint64_t n) {
    ++clock_;
    auto& bucket = buckets_[geometry_.bucket_of(hash_of(key_of(n)))];
    if (const auto it = bucket.find(n); it != bucket.end()) {
      it->second = clock_;
      return true;
    }
    if (size_ == most_) evict();
    if (bucket.size() == kSlots) remove(bucket, oldest(bucket));
    bucket.emplace(n, clock_);
    ++size_;
    return false;
  }

 private:
  using SimulatedBucket = std::map<std::uint64_t, std::uint64_t>;  // key and last use

  static SimulatedBucket::iterator oldest(SimulatedBucket& bucket) {
    auto found = bucket.begin();
    for (auto it = bucket.begin(); it != bucket.end(); ++it) {
      if (it->second < found->second) found = it;
    }
    return found;
  }
  void remove(SimulatedBucket& bucket, SimulatedBucket::iterator it) {
    bucket.erase(it);
    --size_;
  }
  void evict() {
    SimulatedBucket* from = nullptr;
    std::uint64_t least = ~0ULL;
    for (std::size_t sampled = 0; sampled < 5;) {
      const std::uint64_t first = random_.below(buckets_.size() - kWindow + 1);
      for (std::uint64_t i = first; i < first + kWindow; ++i) {
        sampled += buckets_[i].size();
        if (buckets_[i].empty() || oldest(buckets_[i])->second >= least) continue;
        from = &buckets_[i];
        least = oldest(*from)->second;
      }
    }
    ASSERT_NE(from, nullptr);
    remove(*from, oldest(*from));
  }

  const DittoGeometry geometry_;
  const std::uint64_t most_;
  std::vector<SimulatedBucket> buckets_;
  std::uint64_t size_ = 0, clock_ = 0;
  Random random_;
};

struct Hits {
  double ditto = 0, simulated = 0;
};
Hits hits_of_both(const DittoGeometry& geometry, std::uint64_t records, int operations) {
  DittoFixture cache(geometry, 1, EvictionPolicy::lru);
  SimulatedLru simulated(geometry, geometry.units());
  const ycsb::ZipfianGenerator zipfian(records, 0.99);
  Random random(1);
  Hits hits;
  for (int i = 0; i < operations; ++i) {
    const std::uint64_t n = zipfian.next(random);
    hits.ditto += use(cache, n) ? 1.0 / operations : 0;
    hits.simulated += simulated.use(n) ? 1.0 / operations : 0;
  }
  cache.expect_no_unit_lost();
  return hits;
}

TEST(DittoHitRatio, OfFullBucketsIsThatOfLru) {
  const Hits hits = hits_of_both({.buckets = 256, .segments = 1}, 20'000, 100'000);
  EXPECT_NEAR(hits.ditto, hits.simulated, 1e-9);
  EXPECT_GT(hits.ditto, 0.5);
}

TEST(DittoHitRatio, OfAFullMemoryIsThatOfSampledLru) {
  const Hits hits = hits_of_both({.buckets = 1024, .segments = 1}, 40'000, 150'000);
  EXPECT_NEAR(hits.ditto, hits.simulated, 0.01);
  EXPECT_GT(hits.ditto, 0.5);
}

// Two clients, and one segment of memory for twice as many slots, so that evictions leave a
// history.
struct TwoClients {
  explicit TwoClients(EvictionPolicy policy) : cache({.buckets = 1024, .segments = 1}, 2, policy) {}

  void use(std::uint64_t n) {
    const std::size_t client = random.below(cache.caches.size());
    const std::string key = key_of(n);
    if (cache.get(key, client)) {
      ++hits;
      return;
    }
    // The first client may have all of the memory, and nothing cached yet.
    const Status set = cache.set(key, kValue, client);
    EXPECT_TRUE(set.ok() || set.code() == Code::busy) << set.to_string();
  }
  // A small set that is used often, and then beside scans of what is never used again, so many
  // that all of it would have to go before it is used once more.
  void scan() {
    constexpr std::uint64_t kOften = 1500;
    for (int i = 0; i < 40'000; ++i) use(random.below(kOften));
    hits = 0;
    std::uint64_t scanned = 1'000'000;
    for (int i = 0; i < 20'000; ++i) {
      use(random.below(kOften));
      for (int j = 0; j < 4; ++j) use(scanned++);
    }
  }
  void expect_weight(std::uint32_t expert) {
    EXPECT_GT(cache.caches[0]->counters().history_hits, 200U);
    EXPECT_GT(cache.memory.weights()[expert], 0.8);
    for (const auto& client : cache.caches) EXPECT_GT(client->weights()[expert], 0.8);
  }

  DittoFixture cache;
  Random random{7};
  std::uint64_t hits = 0;
};

TEST(DittoAdaptive, ScansMoveTheWeightsToTheFrequentlyUsedAndItHitsMore) {
  TwoClients adaptive(EvictionPolicy::adaptive), lru(EvictionPolicy::lru);
  adaptive.scan();
  adaptive.expect_weight(kLfu);
  lru.scan();
  EXPECT_GT(adaptive.hits, lru.hits);
}

TEST(DittoAdaptive, AWorkingSetThatMovesOnMovesThemToTheRecentlyUsed) {
  TwoClients clients(EvictionPolicy::adaptive);
  for (std::uint64_t i = 0; i < 120'000; ++i) clients.use(i / 12 + clients.random.below(3000));
  clients.expect_weight(kLru);
}

TEST(DittoAdaptive, WhatOthersHaveTaughtTheServerReplacesWhatAClientKnows) {
  TwoClients clients(EvictionPolicy::adaptive);
  std::uint64_t i = 0;
  const auto go_on = [&] { clients.use(i++ / 12 + clients.random.below(3000)); };
  while (i < 60'000) go_on();
  const DittoCache& client = *clients.cache.caches[0];
  EXPECT_GT(client.weights()[kLru], 0.6);
  DittoRequest lesson{DittoRequestKind::weights, {}};
  lesson.penalties[kLru] = -100;
  ASSERT_TRUE(clients.cache.memory.answer(encode_request(lesson)));
  const std::uint64_t told = client.counters().messages;
  while (i < 200'000 && client.counters().messages == told) go_on();
  clients.cache.settle();
  EXPECT_LT(client.weights()[kLru], 0.1);
}

}  // namespace
}  // namespace scalio::ditto
