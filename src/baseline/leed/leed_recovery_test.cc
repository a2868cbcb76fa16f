#include "baseline/leed/leed_recovery.h"

#include <map>
#include <set>
#include <vector>

#include "base/random.h"
#include "testing/leed_fixture.h"
#include "testing/memory_device.h"

namespace scalio::leed {
namespace {

TEST(LeedRecovery, AStoreThatWasNeverUsedIsEmpty) {
  LeedFixture store;
  store.restart();
  EXPECT_EQ(store.get("key"), "(none)");
}

TEST(LeedRecovery, WhatIsNoStoreIsRefused) {
  LeedFixture store;
  store.ssd->contents()[3] ^= std::byte{1};
  EXPECT_EQ(store.open().code(), Code::invalid);
  store.ssd->contents()[3] ^= std::byte{1};
  store.ssd->contents()[20] ^= std::byte{1};
  EXPECT_EQ(store.open().code(), Code::corrupt);
  store.ssd->contents()[20] ^= std::byte{1};
  EXPECT_TRUE(store.open().ok());
  store.insert(Bytes(store.geometry.size() - kBlock), 1);
  EXPECT_EQ(store.time.run(format(*store.ssd, store.geometry)).code(), Code::invalid);
}

TEST(LeedRecovery, AnSsdOfLargerBlocksIsRefused) {
  VirtualTime time;
  block::MemoryDevice device(time, "large", 1 << 20, 4096);
  const Status s = time.run(format(device, LeedFixture::small_geometry()));
  EXPECT_EQ(s.code(), Code::invalid);
  EXPECT_NE(s.message().find("blocks of 4096 B"), std::string::npos) << s.to_string();
  EXPECT_EQ(time.run(LeedEngine::open(time, device)).code(), Code::invalid);
}

TEST(LeedRecovery, ARemovedKeyDoesNotComeBack) {
  LeedFixture store;
  const std::string key = store.key_of(3, 0), other = store.key_of(4, 0);
  EXPECT_TRUE(store.set(key, "v").ok());
  EXPECT_TRUE(store.remove(key).ok());
  store.restart();
  EXPECT_EQ(store.get(key), "(none)");
  // Not when the log has gone on over its removal, either.
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(store.set(other, std::to_string(i)).ok());
    if (i % 97 != 0) continue;
    store.restart();
    ASSERT_EQ(store.get(key), "(none)") << i;
    ASSERT_EQ(store.get(other), std::to_string(i));
  }
}

TEST(LeedRecovery, AReadThatFailsIsSaid) {
  LeedFixture store;
  EXPECT_TRUE(store.set("key", "v").ok());
  store.stop();
  store.device->fail(block::Io::Kind::read, 1, {kSuperblockSize});
  EXPECT_EQ(store.open().code(), Code::io_error);
  EXPECT_TRUE(store.open().ok());
  EXPECT_EQ(store.get("key"), "v");
}

// Two segments of one id, and their removal, lie beside each other. When the log has gone round,
// what overwrites the removal may be on the SSD before what overwrites the segment.
TEST(LeedRecovery, ARemovalMayBeOverwrittenBeforeWhatItRemoved) {
  LeedFixture store({60, 1300, 1000, 77});
  constexpr std::uint32_t kRemoved = 20;
  for (std::uint32_t id = 0; id < kRemoved; ++id) {
    EXPECT_TRUE(store.set(store.key_of(id, 0), "v").ok());
    EXPECT_TRUE(store.remove(store.key_of(id, 0)).ok());
  }
  const auto tail = [&] {
    return store.time.run(recover(*store.ssd, store.geometry))->bucket_tail;
  };
  while (tail() < store.geometry.bucket_blocks - 10) {
    EXPECT_TRUE(store.set(store.key_of(50, 0), "w").ok());
  }
  std::vector<Bytes> left;
  store.ssd->on_change = [&] { left.push_back(store.ssd->after_power_cut()); };
  while (tail() < store.geometry.bucket_blocks + 2 * kRemoved) {
    std::optional<Status> done[4];
    std::string keys[4];
    for (std::uint32_t i = 0; i < 4; ++i) {
      keys[i] = store.key_of(50 + i, 0);
      store.time.start(store.engine->set(keys[i], "x"), done[i]);
    }
    store.time.run();
  }
  store.ssd->on_change = [] {};
  EXPECT_GT(left.size(), 100u);
  for (Bytes& contents : left) {
    store.insert(std::move(contents), 1);
    store.restart();
    for (std::uint32_t id = 0; id < kRemoved; ++id) {
      ASSERT_EQ(store.get(store.key_of(id, 0)), "(none)") << id;
    }
  }
}

// What one worker knows of its keys, at any moment.
struct Known {
  std::optional<std::string> acknowledged;
  bool in_flight = false;
  std::optional<std::string> attempted;
};
using Knowledge = std::map<std::string, Known>;

Task<bool> write_some(LeedEngine& engine, Knowledge& known, std::uint64_t seed, int operations) {
  Random random(seed);
  for (int i = 0; i < operations; ++i) {
    const std::string key = std::to_string(seed % 1000) + "/" + std::to_string(random.below(30));
    Known& k = known[key];
    k.in_flight = true;
    k.attempted.reset();
    if (random.below(4) > 0) {
      k.attempted = std::string(random.below(900), static_cast<char>('a' + i % 26));
    }
    const std::optional<std::string> attempted = k.attempted;
    Status s;
    if (attempted) {
      s = co_await engine.set(key, *attempted);
    } else {
      s = co_await engine.remove(key);
    }
    EXPECT_TRUE(s.ok() || (!attempted && s.code() == Code::not_found)) << s.to_string();
    k.acknowledged = attempted;
    k.in_flight = false;
  }
  co_return true;
}

class LeedPowerCut : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(, LeedPowerCut, ::testing::Range<std::uint64_t>(1, 9));

// Again and again on what the last cut has left, so that holes in the logs add up.
TEST_P(LeedPowerCut, WhatWasAcknowledgedIsThereAndNothingElse) {
  constexpr std::uint64_t kWorkers = 8;
  LeedFixture store({static_cast<std::uint32_t>(2 << GetParam() % 6), 1800, 2200, GetParam()},
                    GetParam());
  Random random(GetParam());
  std::vector<Knowledge> known(kWorkers);
  for (int cut = 0; cut < 12; ++cut) {
    std::uint64_t until = random.between(50, 4000);
    std::optional<Bytes> left;
    std::vector<Knowledge> then;
    store.ssd->on_change = [&] {
      if (left || --until > 0) return;
      left = store.ssd->after_power_cut();
      then = known;
    };
    std::vector<std::optional<bool>> done(kWorkers);
    for (std::uint64_t w = 0; w < kWorkers; ++w) {
      store.time.start(write_some(*store.engine, known[w], GetParam() * 7000 + cut * 1000 + w, 100),
                       done[w]);
    }
    store.time.run();
    store.ssd->on_change = [] {};
    if (left) {
      store.insert(std::move(*left), random.next());
      known = std::move(then);
    }
    store.restart();
    for (Knowledge& k : known) {
      for (auto& [key, what] : k) {
        const std::string now = store.get(key);
        const bool old = now == what.acknowledged.value_or("(none)");
        EXPECT_TRUE(old || (what.in_flight && now == what.attempted.value_or("(none)")))
            << key << " is " << now << ", not " << what.acknowledged.value_or("(none)");
        if (!old) what.acknowledged = what.attempted;
        what.in_flight = false;
      }
    }
  }
}

// A store with segments of several buckets, and logs that have gone round.
Bytes used_store(LeedFixture& store) {
  for (int i = 0; i < 4000; ++i) {
    const std::string key = "k" + std::to_string(i * 7 % 150);
    EXPECT_TRUE(store.set(key, std::string(static_cast<std::size_t>(i % 700), 'v')).ok());
  }
  store.stop();
  return store.ssd->contents();
}

// Damages some blocks: bits, bytes, blocks of elsewhere.
void damage(Bytes& contents, const LeedGeometry& g, Random& random) {
  const auto block = [&](std::uint64_t end) {
    return contents.begin() + static_cast<std::ptrdiff_t>(random.below(end / kBlock) * kBlock);
  };
  const std::uint64_t buckets = g.value_at(0);
  for (std::uint64_t n = random.between(1, 5); n > 0; --n) {
    const std::uint64_t end = random.below(4) == 0 ? contents.size() : buckets;
    switch (random.below(3)) {
      case 0: block(end)[static_cast<std::ptrdiff_t>(random.below(kBlock))] ^= std::byte{4}; break;
      case 1: std::generate_n(block(end), kBlock, [&] { return std::byte(random.next()); }); break;
      case 2: std::copy_n(block(end), kBlock, block(end)); break;
    }
  }
}

// Makes a bucket of anything that has an intact header: what only somebody who means it can write.
void forge(Bytes& contents, const LeedGeometry& g, Random& random) {
  for (std::uint64_t n = random.between(1, 5); n > 0; --n) {
    const std::uint64_t slot = random.below(g.bucket_blocks);
    const ByteSpan bucket = ByteSpan(contents).subspan(g.bucket_at(slot), kBlock);
    for (std::uint32_t i = 0; i < kBucketItems; ++i) {
      if (random.coin()) continue;
      const std::string key = "k" + std::to_string(random.below(150));
      const std::uint64_t place = random.coin() ? random.below(1ULL << 48) : random.below(20'000);
      set_bucket_item(bucket, i,
                      {key, static_cast<std::uint32_t>(random.below(kMaxValue + 1)), place});
    }
    if (random.below(3) == 0) {  // a length that is impossible
      const std::uint64_t item = 16 + random.below(kBucketItems) * 31;
      bucket[item + (random.coin() ? 0 : 24)] = std::byte{0xff};
    }
    BucketPlace place;
    place.chain_length = static_cast<std::uint32_t>(random.between(1, 3));
    place.chain_index = static_cast<std::uint32_t>(random.below(place.chain_length));
    place.id = static_cast<std::uint32_t>(random.below(g.ids));
    place.position = slot + g.bucket_blocks * random.between(1, 10);
    place.head = place.position - random.below(g.bucket_blocks - 1);
    seal_bucket(bucket, place, g);
  }
}

Task<bool> use(LeedEngine& engine, int first) {
  for (int i = first; i < first + 60; ++i) {
    const std::string key = "k" + std::to_string(i % 150), value(500, 'n');
    Result<std::optional<std::string>> got = co_await engine.get(key);
    const Status set = co_await engine.set(key, value);
    if (set.ok()) {
      got = co_await engine.get(key);
      EXPECT_TRUE(!got.ok() || *got == value) << key;
    }
  }
  co_return true;
}

class LeedHostile : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(, LeedHostile, ::testing::Range<std::uint64_t>(1, 5));

TEST_P(LeedHostile, WhateverIsOnTheSsdTheEngineGoesOnOrSaysNo) {
  LeedFixture store({6, 1500, 1200, 5});
  const Bytes good = used_store(store);
  Random random(GetParam());
  int opened = 0, refused = 0;
  for (int i = 0; i < 150; ++i) {
    Bytes bad = good;
    i % 2 == 0 ? damage(bad, store.geometry, random) : forge(bad, store.geometry, random);
    store.insert(std::move(bad), random.next());
    const Status s = store.open();
    (s.ok() ? opened : refused)++;
    if (!s.ok()) {
      EXPECT_TRUE(s.code() == Code::corrupt || s.code() == Code::invalid) << s.to_string();
      continue;
    }
    // And while it is used.
    std::vector<std::optional<bool>> done(4);
    for (int w = 0; w < 4; ++w) store.time.start(use(*store.engine, w * 60), done[w]);
    for (int turn = 0; turn < 3; ++turn) {
      store.ssd->on_change = [&, n = random.between(1, 40)]() mutable {
        if (--n != 0) return;
        i % 2 == 0 ? damage(store.ssd->contents(), store.geometry, random)
                   : forge(store.ssd->contents(), store.geometry, random);
      };
      store.time.run();
    }
    store.ssd->on_change = [] {};
  }
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace scalio::leed
