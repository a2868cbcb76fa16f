#include "baseline/paper/paper_engine.h"

#include <fmt/format.h>

#include <map>

#include "testing/paper_fixture.h"
#include "testing/sanitizer.h"

namespace scalio::paper {
namespace {

using block::Io;

// What the server's device and the newest client's have done since the last look.
class PaperIoTest : public testing::Test {
 protected:
  struct Done {
    std::uint64_t reads, writes, client_reads;
    bool operator==(const Done&) const = default;
  };
  void forget() { (void)done(); }
  Done done() {
    const auto& c = f.device->counters();
    const Done now{c.reads, c.writes, f.client_device->counters().reads};
    const Done before = std::exchange(last_, now);
    return {now.reads - before.reads, now.writes - before.writes,
            now.client_reads - before.client_reads};
  }

  PaperFixture f{PaperOptions::unbatched(),
                 {.blocks = 4},
                 {.hash_seed = 77,
                  .log_blocks = 1024,
                  .buckets = 64,
                  .overflow = 64,
                  .value_blocks = 1,
                  .values = 400}};

 private:
  Done last_{};
};

TEST_F(PaperIoTest, ASetAloneIsThreeIosAndOneMoreForANewKey) {
  f.connect();
  forget();
  ASSERT_TRUE(f.put("key", "value").ok());
  EXPECT_EQ(done(), (Done{1, 3, 0}));  // bucket; log, value, bucket
  ASSERT_TRUE(f.put("key", "newer").ok());
  EXPECT_EQ(done(), (Done{1, 2, 0}));
  ASSERT_TRUE(f.remove("key").ok());
  EXPECT_EQ(done(), (Done{1, 2, 0}));  // bucket; log, bucket
}

TEST_F(PaperIoTest, AMissIsTwoReadsOfTheClientAndAHitNone) {
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.restart();
  PaperClient& client = f.connect();
  forget();
  EXPECT_EQ(f.get("key"), "value");
  EXPECT_EQ(done(), (Done{0, 0, 2}));
  EXPECT_EQ(client.paper_counters().fills, 1u);
  const baseline::KvCounters before = client.counters();
  EXPECT_EQ(f.get("key"), "value");
  EXPECT_EQ(done(), (Done{0, 0, 0}));
  EXPECT_EQ(client.counters().hits - before.hits, 1u);
  EXPECT_EQ(client.counters().one_sided - before.one_sided, 1u);
  EXPECT_EQ(client.counters().one_sided_bytes - before.one_sided_bytes, 720u);
  EXPECT_EQ(f.get("absent"), "(none)");
  EXPECT_EQ(done(), (Done{0, 0, 1}));
  EXPECT_EQ(client.counters().messages, 0u);
  EXPECT_EQ(client.counters().ssd_reads, 3u);
}

Task<void> put_one(PaperClient& client, std::string key, std::string value, int& failed) {
  const Status s = co_await client.put(key, value);
  failed += s.ok() ? 0 : 1;
}

// Puts them all at once; returns how many have failed.
int put_all(PaperFixture& f, PaperClient& client, const std::vector<std::string>& keys,
            const std::string& value) {
  int failed = 0;
  for (const std::string& key : keys) {
    f.time.spawn(put_one(client, key, fmt::format("{}={}", key, value), failed));
  }
  f.time.run();
  return failed;
}

std::vector<std::string> some_keys(int n) {
  std::vector<std::string> keys;
  for (int i = 0; i < n; ++i) keys.push_back("key" + std::to_string(i));
  return keys;
}

TEST(PaperEngineTest, ABatchIsOneWriteToTheLogAndAKeyIsMergedOnce) {
  PaperGeometry geometry = PaperFixture::small_geometry();
  geometry.log_blocks = 1024;
  geometry.overflow = 1024;
  PaperFixture f({}, {.blocks = 64}, geometry);
  PaperClient& client = f.connect();
  const std::uint64_t reads = f.device->counters().reads;
  const std::vector<std::string> keys = some_keys(64);
  EXPECT_EQ(put_all(f, client, keys, "old"), 0);
  EXPECT_EQ(f.engine->counters().batches, 8u);
  EXPECT_EQ(client.counters().messages, 8u);
  EXPECT_EQ(put_all(f, client, keys, "new"), 0);
  EXPECT_EQ(f.engine->counters().batches, 16u);
  EXPECT_EQ(f.engine->counters().merges, 0u);  // so many may stay dirty
  EXPECT_EQ(f.device->counters().reads, reads);
  EXPECT_EQ(f.get("key7"), "key7=new");
  EXPECT_EQ(f.client_device->counters().reads, 0u);
  f.restart();
  EXPECT_EQ(f.engine->counters().dirty, 0u);
  f.connect();
  for (const std::string& key : keys) EXPECT_EQ(f.get(key), key + "=new");
}

TEST(PaperEngineTest, BeyondTheWindowTheOldestIsMerged) {
  PaperOptions options;
  options.batch = 1;
  options.window = 3;
  PaperFixture f(options, {.blocks = 64});
  f.connect();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(f.put("key" + std::to_string(i), "v").ok());
  EXPECT_EQ(f.engine->counters().dirty, 3u);
  EXPECT_EQ(f.engine->counters().merges, 7u);
}

TEST(PaperEngineTest, AWriteAloneDoesNotWaitForOthersForEver) {
  PaperFixture f;
  f.connect();
  const Nanos before = f.time.now();
  ASSERT_TRUE(f.put("key", "value").ok());
  EXPECT_GE(f.time.now(), before + f.options.patience);
}

TEST(PaperEngineTest, TheLeastRecentlyUsedOfABlockIsReplaced) {
  PaperFixture f(PaperOptions::unbatched());
  f.connect();
  std::vector<std::string> keys;
  for (int n = 0; n < 9; ++n) keys.push_back(f.key_of(2, n));
  ASSERT_EQ(put_all(f, *f.clients[0], keys, "v"), 0);
  f.restart();
  PaperClient& client = f.connect();
  for (int n = 0; n < 8; ++n) (void)f.get(keys[n]);
  (void)f.get(keys[0]);  // so that keys[1] is the oldest
  (void)f.get(keys[8]);
  EXPECT_EQ(client.paper_counters().fills, 9u);
  const std::uint64_t hits = client.counters().hits;
  for (const int n : {0, 2, 3, 4, 5, 6, 7, 8}) (void)f.get(keys[n]);
  EXPECT_EQ(client.counters().hits, hits + 8);
  EXPECT_EQ(f.get(keys[1]), keys[1] + "=v");
  EXPECT_EQ(client.counters().hits, hits + 8);
}

TEST(PaperEngineTest, ABlockFullOfDirtySlotsIsRelieved) {
  PaperFixture f({}, {.blocks = 1, .slots = 4});
  PaperClient& client = f.connect();
  const std::vector<std::string> keys = some_keys(50);
  EXPECT_EQ(put_all(f, client, keys, "v"), 0);
  EXPECT_LE(f.engine->counters().dirty, 4u);
  for (const std::string& key : keys) EXPECT_EQ(f.get(key), key + "=v");
}

TEST(PaperEngineTest, WhatDoesNotFitASlotIsAskedForWhileItIsDirty) {
  PaperFixture f({}, {.blocks = 4});
  PaperClient& client = f.connect();
  const std::string large(300, 'v');
  ASSERT_TRUE(f.put("key", large).ok());
  EXPECT_EQ(f.get("key"), large);
  ASSERT_TRUE(f.put("gone", "v").ok());
  ASSERT_TRUE(f.remove("gone").ok());
  EXPECT_EQ(f.get("gone"), "(none)");
  EXPECT_EQ(client.paper_counters().asked, 2u);
  EXPECT_EQ(f.engine->counters().gets, 2u);
  f.restart();
  f.connect();
  EXPECT_EQ(f.get("key"), large);
  EXPECT_EQ(f.get("key"), large);
  EXPECT_EQ(f.client_device->counters().reads, 4u);  // nor is it cached
  EXPECT_EQ(f.get("gone"), "(none)");
}

TEST(PaperEngineTest, SizesAreChecked) {
  PaperFixture f;
  f.connect();
  const std::string most(f.geometry.most_value(), 'v');
  EXPECT_TRUE(f.put(std::string(kMaxKey, 'k'), most).ok());
  EXPECT_EQ(f.get(std::string(kMaxKey, 'k')), most);
  EXPECT_EQ(f.put("k", most + "v").code(), Code::too_large);
  EXPECT_EQ(f.put(std::string(kMaxKey + 1, 'k'), "v").code(), Code::too_large);
  EXPECT_EQ(f.put("", "v").code(), Code::invalid);
  EXPECT_EQ(f.get(""), "(invalid)");
  EXPECT_EQ(f.time.run(f.engine->set("k", most + "v")).code(), Code::too_large);
}

TEST(PaperEngineTest, AFullStoreRefusesAndARemovalGivesRoom) {
  PaperFixture f;
  PaperClient& client = f.connect();
  std::vector<std::string> keys = some_keys(static_cast<int>(f.geometry.values));
  EXPECT_EQ(put_all(f, client, keys, "v"), 0);
  EXPECT_EQ(f.put("more", "v").code(), Code::full);
  for (const std::string& key : keys) EXPECT_EQ(f.get(key), key + "=v");
  EXPECT_TRUE(f.remove(keys[3]).ok());
  EXPECT_TRUE(f.put("more", "v").ok());
  EXPECT_EQ(f.put("and more", "v").code(), Code::full);
  f.restart();
  f.connect();
  EXPECT_EQ(f.put("and more", "v").code(), Code::full);
  EXPECT_EQ(f.get("more"), "v");
  EXPECT_EQ(f.get(keys[3]), "(none)");
}

TEST(PaperEngineTest, AValueWhosePlaceHasGoneToAnotherKeyIsReadAgain) {
  PaperGeometry geometry = PaperFixture::small_geometry();
  geometry.values = 1;
  PaperFixture f(PaperOptions::unbatched(), {.blocks = 4}, geometry);
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.restart();
  PaperClient& client = f.connect();
  f.client_device->delay(Io::Kind::read, kSecond, 1, {geometry.value_at(0)});
  std::optional<Result<std::string>> got;
  f.time.start(client.get("key"), got);
  f.time.run_until(f.time.now() + kMillisecond);
  std::optional<Status> removed, put;
  f.time.start(client.remove("key"), removed);
  f.time.run_until(f.time.now() + kMillisecond);
  f.time.start(client.put("other", "value"), put);
  f.time.run_until(f.time.now() + kMillisecond);
  ASSERT_TRUE(removed && removed->ok() && put && put->ok());
  f.time.run();
  EXPECT_EQ(got->code(), Code::not_found);
  EXPECT_EQ(client.paper_counters().moved, 1u);
}

TEST(PaperEngineTest, TheLogGoesRound) {
  PaperFixture f;
  f.connect();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(f.put("key" + std::to_string(i % 100), std::to_string(i)).ok());
  }
  EXPECT_GT(f.engine->counters().flushes, 10u);
  f.restart();
  f.connect();
  for (int i = 900; i < 1000; ++i) {
    EXPECT_EQ(f.get("key" + std::to_string(i % 100)), std::to_string(i));
  }
}

// --- Failures
// -------------------------------------------------------------------------------------

TEST(PaperEngineTest, ALogThatCannotBeWrittenEndsWrites) {
  PaperFixture f;
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.device->fail(Io::Kind::write, 1);
  EXPECT_EQ(f.put("key", "newer").code(), Code::io_error);
  EXPECT_EQ(f.put("key", "newer").code(), Code::read_only);
  EXPECT_EQ(f.get("key"), "value");
  f.restart();
  f.connect();
  EXPECT_EQ(f.get("key"), "value");
  EXPECT_TRUE(f.put("key", "newer").ok());
}

TEST(PaperEngineTest, WhatCannotBeMergedIsReadAndIsThereAfterARestart) {
  PaperFixture f(PaperOptions::unbatched());
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.device->fail(Io::Kind::write, 1, {f.geometry.value_at(0)});
  EXPECT_TRUE(f.put("key", "newer").ok());
  EXPECT_EQ(f.get("key"), "newer");
  EXPECT_EQ(f.put("other", "v").code(), Code::read_only);
  f.restart();
  f.connect();
  EXPECT_EQ(f.get("key"), "newer");
}

TEST(PaperEngineTest, AReadThatFailsIsAnError) {
  PaperFixture f;
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.restart();
  f.connect();
  f.client_device->fail(Io::Kind::read, 1);
  EXPECT_EQ(f.get("key"), "(io_error)");
  const std::uint32_t bucket = f.geometry.bucket_of(f.geometry.hash_of("key"));
  f.client_device->flip_bit(f.geometry.bucket_at(bucket) + 20, 3, 1);
  EXPECT_EQ(f.get("key"), "(corrupt)");
  EXPECT_EQ(f.get("key"), "value");
}

TEST(PaperEngineTest, AValueThatStaysDamagedIsAnError) {
  PaperFixture f;
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.restart();
  PaperClient& client = f.connect();
  f.ssd->contents()[f.geometry.value_at(0) + 20] ^= std::byte{1};
  EXPECT_EQ(f.get("key"), "(corrupt)");
  EXPECT_EQ(client.paper_counters().asked, 1u);
}

TEST(PaperEngineTest, WithoutAServerNothingWorks) {
  PaperFixture f;
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.connections.back()->lose(Status(Code::unavailable, "gone"));
  EXPECT_EQ(f.get("key"), "(unavailable)");
  EXPECT_EQ(f.put("key", "value").code(), Code::unavailable);
}

TEST(PaperEngineTest, WhoSpeaksOtherwiseIsRefused) {
  PaperFixture f;
  const auto connect = [&](const Bytes& hello) {
    return fabric::ServiceConnection::connect(f.time, f.region, *f.service, hello, 1, 1);
  };
  EXPECT_EQ(connect(Bytes(8)).code(), Code::invalid);
  const auto ask = [](fabric::Connection& c, Bytes request) -> Task<Status> {
    fabric::Call call = c.call(request);
    Result<Bytes> reply = co_await call;
    co_return reply.status();
  };
  leed::BatchWriter with_a_get;
  with_a_get.add({leed::OperationKind::set, "key", "value"});
  with_a_get.add({leed::OperationKind::get, "key", {}});
  for (const Bytes& bad : {Bytes(3, std::byte{9}), with_a_get.finish()}) {
    auto connection = connect(encode_paper_hello_request());
    ASSERT_TRUE(connection.ok());
    EXPECT_FALSE(f.time.run(ask(**connection, bad)).ok());
    EXPECT_FALSE((*connection)->alive());
  }
}

TEST(PaperEngineTest, WhatIsNoStoreIsRefused) {
  PaperFixture f;
  f.connect();
  ASSERT_TRUE(f.put("key", "value").ok());
  f.stop();
  f.device->flip_bit(9, 1, 1);
  EXPECT_EQ(f.open().code(), Code::corrupt);
  f.device->flip_bit(0, 1, 1);
  EXPECT_EQ(f.open().code(), Code::invalid);
  const std::uint32_t bucket = f.geometry.bucket_of(f.geometry.hash_of("key"));
  f.device->flip_bit(f.geometry.bucket_at(bucket) + 20, 1, 1);
  EXPECT_EQ(f.open().code(), Code::corrupt);
  f.device->fail(Io::Kind::read, 1, {f.geometry.log_at(0), f.geometry.log_at(1)});
  EXPECT_EQ(f.open().code(), Code::io_error);
  EXPECT_TRUE(f.open().ok());
}

// --- Against a model, and power cuts
// --------------------------------------------------------------

// Operations drawn by a seed, on few keys, one after the other.
class PaperModel {
 public:
  PaperModel(PaperFixture& fixture, std::uint64_t seed) : f_(fixture), random_(seed) {}

  void step() {
    const std::string key = "key" + std::to_string(random_.below(60));
    const std::uint64_t what = random_.below(10);
    if (what < 4) {
      const std::string value(random_.below(random_.coin() ? 60 : 400), 'a' + ++count_ % 26);
      const Status s = f_.put(key, value);
      EXPECT_TRUE(s.ok()) << s.to_string();
      model_[key] = value;
    } else if (what < 6) {
      const Status s = f_.remove(key);
      EXPECT_TRUE(s.ok()) << s.to_string();
      model_.erase(key);
    } else {
      check(key);
    }
  }
  void check(const std::string& key) {
    const auto expected = model_.find(key);
    EXPECT_EQ(f_.get(key), expected == model_.end() ? "(none)" : expected->second) << key;
  }
  void check_all() {
    for (int i = 0; i < 60; ++i) check("key" + std::to_string(i));
  }

 private:
  PaperFixture& f_;
  Random random_;
  std::map<std::string, std::string> model_;
  int count_ = 0;
};

TEST(PaperEngineTest, DoesWhatAMapDoes) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    PaperOptions options = seed % 2 == 0 ? PaperOptions() : PaperOptions::unbatched();
    if (seed == 4) options.window = 5;
    PaperFixture f(options, {.blocks = 2, .slots = 4});
    f.connect();
    PaperModel model(f, seed);
    for (int i = 0; i < 1500; ++i) {
      model.step();
      if (i % 300 == 299) {
        f.restart();
        f.connect();
      }
    }
    model.check_all();
  }
}

// A server that writes, and an SSD whose power is cut at some moment. What was acknowledged by then
// is there; what was under way is or is not.
class PaperPowerCut {
 public:
  explicit PaperPowerCut(std::uint64_t seed) : random_(seed), seed_(seed) {}

  void run() {
    PaperOptions options;
    options.batch = 1 + static_cast<std::uint32_t>(seed_ % 4);
    options.window = seed_ % 3 * 4;
    PaperFixture f(options, {.blocks = 2, .slots = 4}, PaperFixture::small_geometry(), seed_);
    for (int life = 0; life < 4; ++life) {
      std::optional<Bytes> left;
      std::map<std::string, std::vector<std::string>> possible;
      std::uint64_t changes = random_.between(1, 400);
      f.ssd->on_change = [&] {
        if (--changes > 0) return;
        left = f.ssd->after_power_cut();
        possible = may_be_;
        f.ssd->on_change = [] {};
      };
      for (std::uint64_t w = 0; w < 5; ++w) f.time.spawn(write(*f.engine, w));
      f.time.run();
      f.stop();
      if (!left) {
        left = f.ssd->after_power_cut();
        possible = may_be_;
      }
      may_be_ = possible;
      f.insert(*left, seed_ + life);
      f.restart();
      f.connect();
      for (const auto& [key, values] : possible) {
        const std::string got = f.get(key);
        EXPECT_NE(std::find(values.begin(), values.end(), got), values.end())
            << "seed " << seed_ << ": " << key << " is " << got;
        may_be_[key] = {got};
      }
    }
  }

 private:
  // Each writes keys of its own.
  Task<void> write(PaperEngine& engine, std::uint64_t writer) {
    for (int i = 0; i < 30; ++i) {
      const std::string key = std::to_string(writer) + "/" + std::to_string(random_.below(8));
      const bool removes = random_.below(4) == 0;
      const std::string value = removes ? "(none)" : "value" + std::to_string(++count_);
      auto& values = may_be_[key];
      if (values.empty()) values.push_back("(none)");
      values.push_back(value);
      Status s;
      if (removes) {
        s = co_await engine.remove(key);
      } else {
        s = co_await engine.set(key, value);
      }
      EXPECT_TRUE(s.ok()) << s.to_string();
      may_be_[key] = {value};
    }
  }

  Random random_;
  const std::uint64_t seed_;
  std::map<std::string, std::vector<std::string>> may_be_;
  int count_ = 0;
};

TEST(PaperEngineTest, WhatWasAcknowledgedSurvivesAPowerCut) {
  constexpr std::uint64_t kSeeds = kSanitized ? 30 : 150;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) PaperPowerCut(seed).run();
}

}  // namespace
}  // namespace scalio::paper
