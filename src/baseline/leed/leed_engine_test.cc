#include "baseline/leed/leed_engine.h"

#include <map>
#include <vector>

#include "base/random.h"
#include "testing/leed_fixture.h"

namespace scalio::leed {
namespace {

// What a device did between two moments.
struct Ios {
  std::uint64_t reads, writes;
  bool operator==(const Ios&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Ios& i) {
  return out << i.reads << " reads, " << i.writes << " writes";
}

class LeedEngineTest : public ::testing::Test {
 protected:
  template <class F>
  Ios ios_of(F f) {
    const block::Counters before = store_.device->counters();
    f();
    const block::Counters& after = store_.device->counters();
    return {after.reads - before.reads, after.writes - before.writes};
  }
  void set_all(int keys, int round) {
    for (int k = 0; k < keys; ++k) {
      const Status s = store_.set("k" + std::to_string(k), value(k, round));
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
  }
  static std::string value(int k, int round) {
    return std::to_string(round) + std::string(static_cast<std::size_t>(k * 37 % 1200), 'v');
  }
  void expect_all(int keys, int round) {
    for (int k = 0; k < keys; ++k) {
      ASSERT_EQ(store_.get("k" + std::to_string(k)), value(k, round)) << k;
    }
  }

  LeedFixture store_;
};

TEST_F(LeedEngineTest, AGetCostsTwoReads) {
  const std::string key = store_.key_of(3, 0);
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.get(key), "(none)"); }), (Ios{0, 0}));
  EXPECT_TRUE(store_.set(key, "v").ok());
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.get(key), "v"); }), (Ios{2, 0}));
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.get(store_.key_of(3, 1)), "(none)"); }), (Ios{1, 0}));
}

TEST_F(LeedEngineTest, ASetCostsAReadAndTwoWrites) {
  const std::string key = store_.key_of(3, 0), other = store_.key_of(3, 1);
  EXPECT_EQ(ios_of([&] { EXPECT_TRUE(store_.set(key, "v").ok()); }), (Ios{0, 2}));
  EXPECT_EQ(ios_of([&] { EXPECT_TRUE(store_.set(key, "w").ok()); }), (Ios{1, 2}));
  EXPECT_EQ(ios_of([&] { EXPECT_TRUE(store_.set(other, "x").ok()); }), (Ios{1, 2}));
  EXPECT_EQ(store_.get(key), "w");
  EXPECT_EQ(store_.get(other), "x");
}

TEST_F(LeedEngineTest, ARemovalCostsAReadAndAWrite) {
  const std::string key = store_.key_of(3, 0), other = store_.key_of(3, 1);
  EXPECT_TRUE(store_.set(key, "v").ok());
  EXPECT_TRUE(store_.set(other, "w").ok());
  EXPECT_EQ(ios_of([&] { EXPECT_TRUE(store_.remove(key).ok()); }), (Ios{1, 1}));
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.remove(key).code(), Code::not_found); }), (Ios{1, 0}));
  EXPECT_EQ(store_.get(key), "(none)");
  EXPECT_TRUE(store_.remove(other).ok());
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.get(other), "(none)"); }), (Ios{0, 0}))
      << "an empty segment is forgotten";
}

TEST_F(LeedEngineTest, AnyLengthIsAsItWasSet) {
  for (const std::size_t n : {0u, 1u, 255u, 256u, 257u, 511u, 512u, 513u, 65'535u, 65'536u}) {
    const std::string value(n, static_cast<char>('a' + n % 20));
    EXPECT_TRUE(store_.set("key", value).ok());
    EXPECT_TRUE(store_.get("key") == value) << n;
  }
  EXPECT_EQ(store_.set("key", std::string(65'537, 'x')).code(), Code::too_large);
  EXPECT_EQ(store_.set("", "v").code(), Code::invalid);
  EXPECT_TRUE(store_.set(std::string(20, 'k'), "v").ok());
  EXPECT_EQ(store_.set(std::string(21, 'k'), "v").code(), Code::too_large);
  EXPECT_EQ(store_.get(std::string(21, 'k')), "(too_large)");
}

TEST_F(LeedEngineTest, ThoseInLineForABucketAreHandedACopy) {
  constexpr int kSets = 8;
  EXPECT_TRUE(store_.set(store_.key_of(5, 0), "first").ok());
  std::vector<std::string> keys;
  for (int i = 0; i < kSets; ++i) keys.push_back(store_.key_of(5, i));
  std::vector<std::optional<Status>> done(kSets);
  const Ios ios = ios_of([&] {
    for (int i = 0; i < kSets; ++i) store_.time.start(store_.engine->set(keys[i], "new"), done[i]);
    store_.time.run();
  });
  EXPECT_EQ(ios, (Ios{1, 2 * kSets}));
  EXPECT_EQ(store_.engine->counters().handed_on, kSets - 1u);
  for (int i = 0; i < kSets; ++i) EXPECT_EQ(store_.get(keys[i]), "new");
}

// As the original does it, for the evaluation.
TEST(LeedLocksTest, ThoseInLineReadTheBucketIfWhatIsWrittenIsNotHandedOn) {
  constexpr int kSets = 8;
  LeedOptions options = LeedFixture::small_options();
  options.hand_on_written = false;
  LeedFixture store(LeedFixture::small_geometry(), 1, options);
  const std::string key = store.key_of(5, 0);
  EXPECT_TRUE(store.set(key, "first").ok());
  const std::uint64_t reads = store.device->counters().reads;
  std::vector<std::optional<Status>> done(kSets);
  for (int i = 0; i < kSets; ++i) store.time.start(store.engine->set(key, "new"), done[i]);
  store.time.run();
  EXPECT_EQ(store.device->counters().reads - reads, std::uint64_t{kSets});
  EXPECT_EQ(store.engine->counters().handed_on, 0u);
  EXPECT_EQ(store.get(key), "new");
}

TEST_F(LeedEngineTest, ABucketOverflowsIntoASegmentAndShrinksAgain) {
  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_TRUE(store_.set(store_.key_of(2, i), std::to_string(i)).ok());
  }
  const std::uint64_t before = store_.device->counters().bytes_read;
  EXPECT_EQ(ios_of([&] { EXPECT_EQ(store_.get(store_.key_of(2, 39)), "39"); }), (Ios{2, 0}));
  EXPECT_EQ(store_.device->counters().bytes_read - before, 4u * kBlock) << "3 buckets and a value";
  for (int i = 0; i < kKeys - 1; ++i) {
    EXPECT_TRUE(store_.remove(store_.key_of(2, i)).ok());
    EXPECT_EQ(store_.get(store_.key_of(2, 39)), "39") << i;
  }
  const std::uint64_t after = store_.device->counters().bytes_read;
  EXPECT_EQ(store_.get(store_.key_of(2, 39)), "39");
  EXPECT_EQ(store_.device->counters().bytes_read - after, 2u * kBlock);
}

TEST_F(LeedEngineTest, BothLogsGoRoundAndRound) {
  for (int round = 0; round < 60; ++round) set_all(100, round);
  expect_all(100, 59);
  EXPECT_GT(store_.engine->counters().bucket_chunks, 200u);
  EXPECT_GT(store_.engine->counters().value_chunks, 200u);
  store_.restart();
  expect_all(100, 59);
}

TEST_F(LeedEngineTest, AGetWhoseBucketOrValueMovesReadsAgain) {
  for (const bool bucket : {true, false}) {
    set_all(100, 0);
    const std::uint64_t before = store_.engine->counters().moved;
    // The bucket log lies before the value log.
    const std::uint64_t values = store_.geometry.value_at(0);
    const block::Extent where = bucket ? block::Extent{0, values} : block::Extent{values};
    store_.device->delay(block::Io::Kind::read, kSecond, 1, where);
    std::optional<Result<std::optional<std::string>>> got;
    store_.time.start(store_.engine->get("k7"), got);
    store_.time.run_ready();
    EXPECT_FALSE(got.has_value());
    const auto rounds = [](LeedEngine& e) -> Task<bool> {
      for (int round = 1; round < 40; ++round) {
        for (int k = 0; k < 100; ++k) {
          const std::string key = "k" + std::to_string(k), text = value(k, round);
          const Status s = co_await e.set(key, text);
          EXPECT_TRUE(s.ok()) << s.to_string();
        }
      }
      co_return true;
    };
    std::optional<bool> done;
    store_.time.start(rounds(*store_.engine), done);
    store_.time.run_ready();  // all of it before the read
    EXPECT_TRUE(done.has_value());
    EXPECT_FALSE(got.has_value());
    store_.time.run();
    ASSERT_TRUE(got.has_value() && got->ok());
    EXPECT_EQ(**got, value(7, 39));
    EXPECT_GT(store_.engine->counters().moved, before);
  }
}

TEST(LeedEngine, TheBucketLogDoesNotGoRoundOverWhatIsStillBeingWritten) {
  LeedFixture store({16, 1300, 8000, 77});  // so many values that their log need not go round
  const std::string key = store.key_of(3, 0), other = store.key_of(4, 0);
  store.device->delay(block::Io::Kind::write, kSecond, 1, {0, store.geometry.value_at(0)});
  std::optional<Status> slow, others;
  store.time.start(store.engine->set(key, "v"), slow);
  store.time.run_ready();
  const auto rounds = [](LeedEngine& e, const std::string& k) -> Task<Status> {
    for (int i = 0; i < 4000; ++i) {
      const Status s = co_await e.set(k, "w");
      if (!s.ok()) co_return s;
    }
    co_return Status();
  };
  store.time.start(rounds(*store.engine, other), others);
  store.time.run_ready();
  EXPECT_FALSE(slow.has_value());
  EXPECT_FALSE(others.has_value()) << "they wait for it";
  store.time.run();
  ASSERT_TRUE(slow.has_value() && others.has_value());
  EXPECT_TRUE(slow->ok() && others->ok()) << others->to_string();
  EXPECT_EQ(store.get(key), "v");
  EXPECT_EQ(store.get(other), "w");
}

// Sets keys of their own until one is refused, and says how many were set.
int fill(LeedFixture& store, const std::string& value) {
  for (int n = 0;; ++n) {
    const Status s = store.set("fill" + std::to_string(n), value);
    if (s.ok()) continue;
    EXPECT_EQ(s.code(), Code::full);
    EXPECT_NE(s.message().find("remove something"), std::string::npos) << s.to_string();
    return n;
  }
}

TEST_F(LeedEngineTest, AFullValueLogRefusesSetsAndAllowsRemovals) {
  const std::string value(2000, 'v');
  const int n = fill(store_, value);
  EXPECT_GT(n, 100);
  for (int i = 0; i < n; ++i) ASSERT_EQ(store_.get("fill" + std::to_string(i)), value);
  EXPECT_EQ(store_.set("one-more", value).code(), Code::full) << "and it stays so";
  for (int i = 0; i < n; ++i) EXPECT_TRUE(store_.remove("fill" + std::to_string(i)).ok()) << i;
  EXPECT_EQ(fill(store_, value), n);
}

TEST(LeedEngine, AFullBucketLogRefusesSetsAndAllowsRemovals) {
  LeedFixture store({400, 1300, 8000, 77});
  const int n = fill(store, "v");
  EXPECT_GT(n, 400);
  for (int i = 0; i < n; ++i) ASSERT_EQ(store.get("fill" + std::to_string(i)), "v");
  for (int i = 0; i < n; ++i) EXPECT_TRUE(store.remove("fill" + std::to_string(i)).ok()) << i;
  // Keys fall into as many buckets as before; what is passed over at the ring's end may differ.
  EXPECT_NEAR(fill(store, "v"), n, n / 100.0);
}

TEST_F(LeedEngineTest, AReadThatFailsIsSaid) {
  EXPECT_TRUE(store_.set("key", "v").ok());
  store_.device->fail(block::Io::Kind::read, 3);
  EXPECT_EQ(store_.get("key"), "(io_error)");
  EXPECT_EQ(store_.set("key", "w").code(), Code::io_error);
  EXPECT_EQ(store_.remove("key").code(), Code::io_error);
  EXPECT_EQ(store_.get("key"), "v");
  EXPECT_TRUE(store_.set("key", "w").ok());
  EXPECT_EQ(store_.get("key"), "w");
}

TEST_F(LeedEngineTest, AValueThatCannotBeWrittenIsSaidAndNothingElseHappens) {
  EXPECT_TRUE(store_.set("key", "v").ok());
  store_.device->fail(block::Io::Kind::write, 1, {store_.geometry.value_at(0)});
  EXPECT_EQ(store_.set("key", "w").code(), Code::io_error);
  EXPECT_EQ(store_.get("key"), "v");
  EXPECT_TRUE(store_.set("key", "x").ok());
  store_.restart();
  EXPECT_EQ(store_.get("key"), "x");
}

TEST_F(LeedEngineTest, ABucketThatCannotBeWrittenEndsAllWritesButLosesNothing) {
  set_all(100, 0);
  store_.device->fail(block::Io::Kind::write, 1, {0, store_.geometry.value_at(0)});
  EXPECT_EQ(store_.set("k3", "w").code(), Code::io_error);
  const Status s = store_.set("other", "w");
  EXPECT_EQ(s.code(), Code::read_only);
  EXPECT_NE(s.message().find("injected fault"), std::string::npos) << s.to_string();
  EXPECT_EQ(store_.remove("k3").code(), Code::read_only);
  expect_all(100, 0);
  store_.restart();
  expect_all(100, 0);
  EXPECT_TRUE(store_.set("k3", value(3, 0)).ok());
}

TEST_F(LeedEngineTest, AValueLogThatCannotBeReadIsCompactedLater) {
  set_all(100, 0);
  store_.device->fail(block::Io::Kind::read, block::FaultyDevice::kEvery,
                      {store_.geometry.value_at(0)});
  Status s;
  for (int i = 0; i < 4000 && s.ok(); ++i) s = store_.set("k" + std::to_string(i % 100), "x");
  EXPECT_EQ(s.code(), Code::full);
  EXPECT_NE(s.message().find("injected fault"), std::string::npos) << s.to_string();
  store_.device->heal();
  for (int round = 1; round < 30; ++round) set_all(100, round);
  expect_all(100, 29);
}

TEST_F(LeedEngineTest, ABucketLogThatCannotBeCompactedNowIsCompactedLater) {
  set_all(100, 0);
  // Chunks are read from their beginning on; of a bucket that lies there, sets fail too.
  int failed = 0;
  for (int i = 0; i < 4000; ++i) {
    if (i % 20 == 0) {
      store_.device->fail(block::Io::Kind::read, 1, {0, store_.geometry.value_at(0)});
    }
    const Status s = store_.set("k" + std::to_string(i % 100), "x");
    if (!s.ok()) ++failed;
    EXPECT_TRUE(s.ok() || s.code() == Code::io_error || s.code() == Code::full) << s.to_string();
  }
  EXPECT_GT(failed, 0);
  store_.device->heal();
  set_all(100, 1);
  expect_all(100, 1);
  store_.restart();
  expect_all(100, 1);
}

TEST_F(LeedEngineTest, ADamagedBucketIsSaidAndNotCompactedAway) {
  set_all(100, 0);
  // Its last segment: the newest block with its id.
  Bytes& contents = store_.ssd->contents();
  BucketPlace newest;
  for (std::uint64_t slot = 0; slot < store_.geometry.bucket_blocks; ++slot) {
    BucketPlace place;
    const ByteView block = ByteView(contents).subspan(store_.geometry.bucket_at(slot), kBlock);
    if (inspect_bucket(block, store_.geometry, place) != BucketIs::intact) continue;
    if (place.id == store_.geometry.id_of("k3") && place.position >= newest.position)
      newest = place;
  }
  contents[store_.geometry.bucket_at(newest.position) + 100] ^= std::byte{1};
  EXPECT_EQ(store_.get("k3"), "(corrupt)");
  EXPECT_EQ(store_.set("k3", "v").code(), Code::corrupt);
  Status s;
  for (int i = 0; i < 5000 && s.code() != Code::full; ++i) {
    const std::string other = "k" + std::to_string(i % 100);
    if (store_.geometry.id_of(other) == newest.id) continue;
    s = store_.set(other, "x");
  }
  EXPECT_EQ(s.code(), Code::full);
  EXPECT_NE(s.message().find("is damaged"), std::string::npos) << s.to_string();
  EXPECT_EQ(store_.open().code(), Code::corrupt);
}

// Workers with keys of their own, in buckets that all share.
class ModelWorker {
 public:
  ModelWorker(int number, std::uint64_t seed) : number_(number), random_(seed * 100 + number) {}

  Task<bool> run(LeedEngine& engine, int operations) {
    for (int i = 0; i < operations; ++i) {
      const std::string key = std::to_string(number_) + "/" + std::to_string(random_.below(40));
      const std::uint64_t what = random_.below(10);
      if (what < 4) {
        const auto expected = model_.find(key);
        Result<std::optional<std::string>> got = co_await engine.get(key);
        EXPECT_TRUE(got.ok()) << got.status().to_string();
        if (!got.ok()) co_return false;
        const bool same = expected == model_.end() ? !got->has_value() : **got == expected->second;
        EXPECT_TRUE(same) << key;
      } else if (what < 8) {
        const std::string value(random_.below(random_.coin() ? 300 : 3000),
                                static_cast<char>('a' + i % 26));
        const Status s = co_await engine.set(key, value);
        EXPECT_TRUE(s.ok()) << s.to_string();
        model_[key] = value;
      } else {
        const Status s = co_await engine.remove(key);
        EXPECT_EQ(s.code(), model_.erase(key) == 1 ? Code::ok : Code::not_found);
      }
    }
    co_return true;
  }
  const std::map<std::string, std::string>& model() const { return model_; }

 private:
  const int number_;
  Random random_;
  std::map<std::string, std::string> model_;
};

class LeedModel : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(, LeedModel, ::testing::Range<std::uint64_t>(1, 9));

TEST_P(LeedModel, ManyOperationsAtOnceAreAsOneAfterTheOther) {
  constexpr int kWorkers = 12;
  // From one bucket for all to hardly two keys in one.
  LeedFixture store({static_cast<std::uint32_t>(2 << GetParam()), 1800, 3000, GetParam()},
                    GetParam());
  std::vector<ModelWorker> workers;
  std::vector<std::optional<bool>> done(kWorkers);
  for (int w = 0; w < kWorkers; ++w) workers.emplace_back(w, GetParam());
  for (int part = 0; part < 3; ++part) {
    for (int w = 0; w < kWorkers; ++w) {
      store.time.start(workers[w].run(*store.engine, 300), done[w]);
    }
    store.time.run();
    for (int w = 0; w < kWorkers; ++w) ASSERT_TRUE(done[w].has_value() && *done[w]);
    const LeedCounters c = store.engine->counters();
    EXPECT_GT(c.value_chunks, 0u);
    EXPECT_GT(c.bucket_chunks, 0u);
    store.restart();
    for (const ModelWorker& w : workers) {
      for (const auto& [key, value] : w.model()) ASSERT_EQ(store.get(key), value) << key;
    }
  }
}

// A key that one worker writes, with numbers that grow.
struct Watched {
  std::string key;
  int begun = 0;  // the last number whose set was called
  int ended = 0;  // and has returned, or was seen by a get that has
};

Task<bool> write_numbers(LeedEngine& engine, Watched& watched, int sets) {
  for (int i = 0; i < sets; ++i) {
    const std::string value = std::to_string(++watched.begun) + std::string(600, ' ');
    const Status s = co_await engine.set(watched.key, value);
    EXPECT_TRUE(s.ok()) << s.to_string();
    watched.ended = watched.begun;
  }
  co_return true;
}

Task<bool> read_numbers(LeedEngine& engine, std::vector<Watched>& all, std::uint64_t seed,
                        int gets) {
  Random random(seed);
  for (int i = 0; i < gets; ++i) {
    Watched& watched = all[random.below(all.size())];
    const int at_least = watched.ended;
    Result<std::optional<std::string>> got = co_await engine.get(watched.key);
    EXPECT_TRUE(got.ok()) << got.status().to_string();
    if (!got.ok()) co_return false;
    const int number = got->has_value() ? std::stoi(**got) : 0;
    EXPECT_TRUE(at_least <= number && number <= watched.begun)
        << number << " is not from " << at_least << " to " << watched.begun;
    watched.ended = std::max(watched.ended, number);
  }
  co_return true;
}

TEST_P(LeedModel, AGetSeesNothingOlderThanWhatWasThereWhenItBegan) {
  LeedFixture store(LeedFixture::small_geometry(3), GetParam());
  std::vector<Watched> watched;
  for (int i = 0; i < 12; ++i) watched.push_back({"key" + std::to_string(i)});
  std::vector<std::optional<bool>> done(24);
  for (std::size_t i = 0; i < 12; ++i) {
    store.time.start(write_numbers(*store.engine, watched[i], 300), done[i]);
    store.time.start(read_numbers(*store.engine, watched, GetParam() * 50 + i, 600), done[12 + i]);
  }
  store.time.run();
  for (const std::optional<bool>& d : done) EXPECT_TRUE(d.value_or(false));
  EXPECT_GT(store.engine->counters().bucket_chunks, 100u);
  EXPECT_GT(store.engine->counters().value_chunks, 100u);
}

TEST(LeedEngine, WhatIsTooMuchWaitsOrIsRefused) {
  LeedOptions options = LeedFixture::small_options();
  options.tokens = 16;
  options.most_waiting = 3;
  LeedFixture store(LeedFixture::small_geometry(), 1, options);
  EXPECT_EQ(store.engine->tokens_left(), 16u);
  std::vector<std::optional<Status>> done(6);
  const std::string values = "012345";
  for (std::size_t i = 0; i < 6; ++i) {
    store.time.start(store.engine->set("key", std::string_view(values).substr(i, 1)), done[i]);
  }
  EXPECT_EQ(store.engine->counters().waiting, 3u);
  EXPECT_EQ(store.engine->tokens_left(), 0u);
  ASSERT_TRUE(done[5].has_value());
  EXPECT_EQ(done[5]->code(), Code::busy);
  store.time.run();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(done[i].has_value() && done[i]->ok());
  EXPECT_EQ(store.get("key"), "4");
  EXPECT_EQ(store.engine->tokens_left(), 16u);
}

}  // namespace
}  // namespace scalio::leed
