// Recovery, after power cuts at any moment and after damage.
#include "server/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.h"
#include "layout/value_area.h"
#include "testing/colliding_keys.h"
#include "testing/shard_fixture.h"
#include "testing/whole_log.h"

namespace scalio::server {
namespace {

using layout::RequestKind;
using ::testing::HasSubstr;

constexpr std::uint64_t kNotYet = ~0ULL;

// One write of a key: what it left there, and its version once that is known.
struct SentWrite {
  std::optional<std::string> value;  // nothing: a deletion
  std::uint64_t version = kNotYet;
};
// All writes that a test has sent.
struct History {
  std::map<std::string, std::vector<SentWrite>> writes;
};
// What was so at the moment of a power cut.
struct Cut {
  Bytes contents;
  std::map<std::string, std::uint64_t> acknowledged;  // the highest version, by key
  std::map<std::string, std::size_t> sent;            // how many writes, by key
};

class RecoveryTest : public ::testing::Test {
 protected:
  std::string key_of(std::uint64_t n) const { return "key" + std::to_string(n); }

  // Runs random writes on a shard and cuts the power about every `every` device writes.
  std::vector<Cut> run_and_cut(ShardFixture& s, History& history, int writes, std::uint64_t every,
                               std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<Cut> cuts;
    std::map<std::string, std::uint64_t> acknowledged;
    std::map<std::uint64_t, std::pair<std::string, std::size_t>> in_flight;
    TestClient client(s.shard);
    client.on_answer = [&](std::uint64_t call, const WriteAnswer& a) {
      ASSERT_EQ(a.code, Code::ok) << a.text;
      const auto [key, index] = in_flight.at(call);
      in_flight.erase(call);
      history.writes[key][index].version = a.version;
      acknowledged[key] = std::max(acknowledged[key], a.version);
    };
    // What earlier lives have acknowledged still counts.
    for (const auto& [key, list] : history.writes) {
      for (const SentWrite& w : list) {
        if (w.version != kNotYet) acknowledged[key] = std::max(acknowledged[key], w.version);
      }
    }
    s.ssd.on_change = [&] {
      if (random() % every != 0) return;
      Cut cut{s.ssd.after_power_cut(), acknowledged, {}};
      for (const auto& [key, list] : history.writes) cut.sent[key] = list.size();
      cuts.push_back(std::move(cut));
    };
    for (int i = 0; i < writes; ++i) {
      const std::string key = key_of(random() % kKeys);
      const bool removal = random() % 4 == 0;
      const std::string value =
          std::to_string(seed) + "-" + std::to_string(i) + std::string(random() % 90, 'v');
      auto& list = history.writes[key];
      list.push_back({removal ? std::nullopt : std::optional(value)});
      // The number that the call will have.
      in_flight[static_cast<std::uint64_t>(i) + 1] = {key, list.size() - 1};
      EXPECT_EQ(
          client.send(removal ? RequestKind::remove : RequestKind::put, key, removal ? "" : value),
          static_cast<std::uint64_t>(i) + 1);
      if (random() % 10 == 0) turn_until(*s.loop, [&] { return client.in_flight() == 0; });
      turn_until(*s.loop, [&] { return client.ready(100); });
    }
    turn_until(*s.loop, [&] { return client.in_flight() == 0; });
    s.ssd.on_change = [] {};
    return cuts;
  }

  // Each key has what one of its writes left that was not overtaken when it was acknowledged.
  void expect_consistent(ShardFixture& s, const History& history, const Cut& cut) {
    for (const auto& [key, list] : history.writes) {
      const auto found = s.get(key);
      const auto sent = cut.sent.find(key);
      const std::size_t known = sent == cut.sent.end() ? 0 : sent->second;
      const auto last = cut.acknowledged.find(key);
      const std::uint64_t at_least = last == cut.acknowledged.end() ? 0 : last->second;
      bool explained = !found && at_least == 0;
      for (std::size_t i = 0; i < known && !explained; ++i) {
        const SentWrite& w = list[i];
        if (w.version < at_least) continue;
        explained =
            found ? w.value == found->value && (w.version == kNotYet || w.version == found->version)
                  : !w.value;
      }
      EXPECT_TRUE(explained) << key << ": found " << (found ? found->value : "nothing")
                             << " of version " << (found ? found->version : 0)
                             << ", acknowledged was " << at_least;
    }
  }

  static Task<Status> write_cached(block::BlockDevice& device, std::uint64_t at,
                                   block::Buffer& bytes) {
    co_return co_await device.write(at, bytes.span(), block::Durability::cached);
  }
  // Whether the newest batch has images, and none of their buckets is in place.
  bool images_wait(const storage::WholeLog& log, const Bytes& contents) const {
    bool some = false;
    for (const storage::KeptRecord& r : log.kept) {
      if (r.kind != layout::LogKind::image || r.lsn < log.newest.lsn) continue;
      some = true;
      const auto image = *layout::decode_image(as_bytes(r.body), geometry_.bucket_size);
      for (const layout::ImageBucket& b : image) {
        const auto in_place = ByteView(contents).subspan(geometry_.bucket_at(b.number));
        if (std::equal(b.bytes.begin(), b.bytes.end(), in_place.begin())) return false;
      }
    }
    return some;
  }

  static constexpr std::uint64_t kKeys = 60;
  const layout::SsdGeometry geometry_ = test_geometry(20, 512, 256 << 10);
  const ShardFixture::Options options_{.blocks = 8, .write_slots = 2};
};

TEST_F(RecoveryTest, AnyPowerCutLeavesWhatWasAcknowledged) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    ShardFixture::Options options = options_;
    options.seed = seed;
    options.batch_max = seed % 2 == 0 ? 4 : 256;
    // Also in many passes, of a few records each.
    if (seed > 2) options.recovery_memory = 0;
    ShardFixture s(geometry_, formatted(geometry_), options);
    ASSERT_TRUE(s.start().ok());
    History history;
    const std::vector<Cut> cuts = run_and_cut(s, history, 1200, 60, seed);
    ASSERT_GT(cuts.size(), 10u);
    for (const Cut& cut : cuts) {
      options.seed += 100;
      ShardFixture again(geometry_, cut.contents, options);
      Status started = again.start();
      ASSERT_TRUE(started.ok()) << started.to_string();
      EXPECT_EQ(again.shard.recovery().damage.named(), std::vector<std::string>());
      expect_consistent(again, history, cut);
      // And so it stays when all is merged.
      ASSERT_TRUE(again.stop().ok());
      std::fill_n(again.region.data(), again.region.size(), std::byte{0});
      expect_consistent(again, history, cut);
      all_in_buckets(geometry_, again.ssd.contents());
      EXPECT_EQ(again.shard.buckets(), totals_in_buckets(geometry_, again.ssd.contents()));
      if (HasFailure()) return;
    }
  }
}

// Cut again and again, also while it recovers, with writes between.
TEST_F(RecoveryTest, PowerCutsInARowLoseNothing) {
  Bytes contents = formatted(geometry_);
  History history;
  Cut last;
  std::mt19937_64 random(77);
  for (std::uint64_t life = 1; life <= 30; ++life) {
    SCOPED_TRACE(life);
    ShardFixture::Options options = options_;
    options.seed = life;
    if (life % 2 == 0) options.recovery_memory = 0;
    ShardFixture s(geometry_, contents, options);
    std::vector<Bytes> cut_while_starting;
    s.ssd.on_change = [&] {
      if (random() % 20 == 0) cut_while_starting.push_back(s.ssd.after_power_cut());
    };
    Status started = s.start();
    ASSERT_TRUE(started.ok()) << started.to_string();
    s.ssd.on_change = [] {};
    EXPECT_EQ(s.shard.recovery().damage.named(), std::vector<std::string>());
    expect_consistent(s, history, last);
    for (Bytes& bytes : cut_while_starting) {
      ShardFixture again(geometry_, std::move(bytes), options);
      ASSERT_TRUE(again.start().ok());
      EXPECT_EQ(again.shard.recovery().damage.named(), std::vector<std::string>());
      expect_consistent(again, history, last);
      ASSERT_TRUE(again.stop().ok());
      EXPECT_EQ(again.shard.buckets(), totals_in_buckets(geometry_, again.ssd.contents()));
    }
    if (HasFailure()) return;
    // What was found is now the past.
    for (auto& [key, list] : history.writes) {
      const auto found = s.get(key);
      const std::uint64_t acknowledged =
          last.acknowledged.contains(key) ? last.acknowledged[key] : 0;
      if (found) {
        list = {{found->value, found->version}};
      } else {
        list = {{std::nullopt, acknowledged}};
      }
    }
    std::vector<Cut> cuts = run_and_cut(s, history, static_cast<int>(40 + random() % 80), 4, life);
    ASSERT_FALSE(cuts.empty());
    last = std::move(cuts[random() % cuts.size()]);
    contents = last.contents;
    // Only what had been sent by then can be found.
    for (auto& [key, list] : history.writes)
      list.resize(last.sent.contains(key) ? last.sent[key] : 0);
  }
}

// A bucket that a crash tore is put right from its image, and only then looked at.
TEST_F(RecoveryTest, TornBucketsAreRestored) {
  ShardFixture s(geometry_, formatted(geometry_), options_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  std::map<std::string, std::string> model;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::string value(50, static_cast<char>('a' + i % 26));
    ASSERT_EQ(s.put(client, key_of(i % 40), value).code, Code::ok);
    model[key_of(i % 40)] = value;
  }
  Bytes torn = s.ssd.contents();
  int buckets = 0;
  for (std::uint64_t b = 0; b < geometry_.all_buckets(); ++b) {
    layout::Bucket bucket(ByteSpan(torn).subspan(geometry_.bucket_at(b), geometry_.bucket_size));
    if (bucket.verify(geometry_.store_id(), b) != layout::BucketState::ok) continue;
    std::fill_n(bucket.bytes().data() + 256, 128, std::byte{0x5a});
    ++buckets;
  }
  ASSERT_GT(buckets, 5);
  ShardFixture again(geometry_, torn, options_);
  ASSERT_TRUE(again.start().ok());
  EXPECT_GT(again.shard.recovery().images, 0u);
  for (const auto& [key, value] : model) {
    ASSERT_TRUE(again.get(key)) << key;
    EXPECT_EQ(again.get(key)->value, value);
  }
}

// What a killed server wrote last may be in the SSD's cache alone. The next one reads it there, and
// after a power cut it is gone.
TEST_F(RecoveryTest, ImagesAreDurableBeforeTheirBucketsAreRestored) {
  ShardFixture s(geometry_, formatted(geometry_), options_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  std::vector<Bytes> kills;
  s.ssd.on_change = [&] { kills.push_back(s.ssd.contents()); };
  for (std::uint64_t i = 0; i < 60; ++i)
    ASSERT_EQ(s.put(client, key_of(i), std::string(50, 'v')).code, Code::ok);
  s.ssd.on_change = [] {};
  std::uint64_t restored = 0;
  for (const Bytes& killed : kills) {
    const storage::WholeLog log = [&] {
      block::PowerCutSsd ssd(*s.loop, killed, 1);
      return *run(*s.loop, storage::whole_log(ssd, geometry_, test_log_key()));
    }();
    if (!images_wait(log, killed)) continue;
    // All but the newest batch is durable.
    const std::uint64_t at = geometry_.log_offset + log.newest.lsn % geometry_.log_size;
    block::Buffer batch(log.newest.length);
    std::copy_n(killed.begin() + static_cast<ptrdiff_t>(at), batch.size(), batch.data());
    Bytes durable = killed;
    std::fill_n(durable.begin() + static_cast<ptrdiff_t>(at), batch.size(), std::byte{0});
    ShardFixture again(geometry_, std::move(durable), options_);
    ASSERT_TRUE(run(*again.loop, write_cached(again.ssd, at, batch)).ok());
    std::vector<Bytes> cuts;
    again.ssd.on_change = [&] { cuts.push_back(again.ssd.after_power_cut()); };
    ASSERT_TRUE(again.start().ok());
    again.ssd.on_change = [] {};
    restored += again.shard.recovery().images;
    for (Bytes& cut : cuts) {
      ShardFixture third(geometry_, std::move(cut), options_);
      ASSERT_TRUE(third.start().ok());
      ASSERT_TRUE(third.stop().ok());
      all_in_buckets(geometry_, third.ssd.contents());
      EXPECT_EQ(third.shard.buckets(), totals_in_buckets(geometry_, third.ssd.contents()));
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(restored, 5u);
}

// Bits flip in the middle of the log: what is damaged is told with its place, and all else is
// there.
TEST_F(RecoveryTest, DamageInTheLogIsReportedAndTheRestIsUsed) {
  ShardFixture s(geometry_, formatted(geometry_), {.blocks = 1024});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 30; ++i)
    ASSERT_EQ(s.put(client, key_of(i), "value" + std::to_string(i)).code, Code::ok);
  Result<storage::WholeLog> scan =
      run(*s.loop, storage::whole_log(s.ssd, geometry_, test_log_key()));
  ASSERT_TRUE(scan.ok());
  ASSERT_GE(scan->live.size(), 30u);

  for (const bool header : {false, true}) {
    SCOPED_TRACE(header ? "a batch's header" : "a record");
    const layout::BatchHeader& batch = scan->live[12];
    const std::uint64_t offset = geometry_.log_offset + batch.lsn % geometry_.log_size;
    Bytes damaged = s.ssd.contents();
    damaged[offset + (header ? 30 : layout::kBatchHeader + layout::kLogRecordHeader + 1)] ^=
        std::byte{8};
    ShardFixture again(geometry_, std::move(damaged), {.blocks = 1024});
    ASSERT_TRUE(again.start().ok());
    ASSERT_EQ(again.shard.recovery().damage.named().size(), 1u);
    EXPECT_THAT(again.shard.recovery().damage.named()[0], HasSubstr(std::to_string(offset)));
    int missing = 0;
    for (std::uint64_t i = 0; i < 30; ++i) {
      auto found = again.get(key_of(i));
      if (!found) {
        ++missing;
      } else {
        EXPECT_EQ(found->value, "value" + std::to_string(i));
      }
    }
    EXPECT_LE(missing, 1);  // none if it had been merged already
    TestClient after(again.shard);
    EXPECT_GT(again.put(after, "new", "v").version, 30u);
  }
}

TEST_F(RecoveryTest, ATornLastBatchIsNoDamage) {
  ShardFixture s(geometry_, formatted(geometry_), {.blocks = 64});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 10; ++i) ASSERT_EQ(s.put(client, key_of(i), "v").code, Code::ok);
  for (int i = 0; i < 20; ++i) client.send(RequestKind::put, "last", std::string(100, 'v'));
  turn_until(*s.loop, [&] { return client.in_flight() == 0; });
  Result<storage::WholeLog> scan =
      run(*s.loop, storage::whole_log(s.ssd, geometry_, test_log_key()));
  ASSERT_TRUE(scan.ok());
  const layout::BatchHeader last = scan->live.back();
  ASSERT_GT(last.length, 1024u);
  Bytes contents = s.ssd.contents();
  // Its first block is there and its last is not.
  std::fill_n(
      contents.begin() + static_cast<ptrdiff_t>(geometry_.log_offset +
                                                last.lsn % geometry_.log_size + last.length - 512),
      512, std::byte{0});
  // Nor does it become damage when the log goes on behind it.
  for (int life = 0; life < 3; ++life) {
    SCOPED_TRACE(life);
    ShardFixture again(geometry_, contents, {.blocks = 64});
    ASSERT_TRUE(again.start().ok());
    EXPECT_EQ(again.shard.recovery().damage.named(), std::vector<std::string>());
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(again.get(key_of(i))) << key_of(i);
    TestClient after(again.shard);
    ASSERT_EQ(again.put(after, "another", std::to_string(life)).code, Code::ok);
    contents = again.ssd.contents();
  }
}

TEST_F(RecoveryTest, ALogWithoutABatchIsRefused) {
  Bytes contents = formatted(geometry_);
  contents[geometry_.log_offset] ^= std::byte{1};
  LoopPtr loop = make_loop();
  block::PowerCutSsd ssd(*loop, std::move(contents), 1);
  Result<storage::WholeLog> scan = run(*loop, storage::whole_log(ssd, geometry_, test_log_key()));
  EXPECT_EQ(scan.code(), Code::corrupt);
  EXPECT_THAT(scan.status().message(), HasSubstr(ssd.name()));
}

// More keys in the log than write slots: recovery merges as it goes.
TEST_F(RecoveryTest, ALogOfMoreKeysThanSlotsIsReplayed) {
  const layout::SsdGeometry g = test_geometry(200, 512, 4 << 20);
  ShardFixture s(g, formatted(g), {.blocks = 4096});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 500; ++i) {
    client.send(RequestKind::put, key_of(i), std::to_string(i));
    turn_until(*s.loop, [&] { return client.ready(100); });
  }
  turn_until(*s.loop, [&] { return client.in_flight() == 0; });
  for (const std::uint64_t memory : {Recoveries::kMemory, std::uint64_t{2000}, std::uint64_t{0}}) {
    SCOPED_TRACE(memory);
    ShardFixture again(g, s.ssd.contents(),
                       {.blocks = 2, .write_slots = 1, .recovery_memory = memory});
    ASSERT_TRUE(again.start().ok());
    EXPECT_EQ(again.shard.recovery().passes == 1, memory == Recoveries::kMemory);
    EXPECT_GT(again.shard.recovery().records_applied, 50u);  // the others had been merged
    for (std::uint64_t i = 0; i < 500; ++i) {
      ASSERT_TRUE(again.get(key_of(i))) << i;
      EXPECT_EQ(again.get(key_of(i))->value, std::to_string(i));
    }
  }
}

// In a log of one record a batch, too.
TEST_F(RecoveryTest, TheRingIsReadOnceAndEachBucketToo) {
  const layout::SsdGeometry g = test_geometry(200, 512, 4 << 20);
  ShardFixture s(g, formatted(g), {.blocks = 64, .batch_max = 1});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    client.send(RequestKind::put, key_of(i % 300), std::to_string(i));
    turn_until(*s.loop, [&] { return client.ready(100); });
  }
  turn_until(*s.loop, [&] { return client.in_flight() == 0; });
  turn_until(*s.loop, [&] { return s.loop->spawned() <= 3; });
  const storage::WholeLog log = *run(*s.loop, storage::whole_log(s.ssd, g, test_log_key()));
  std::set<std::uint64_t> buckets;
  for (const storage::KeptRecord& r : log.kept) {
    if (r.kind != layout::LogKind::image) {
      buckets.insert(g.home_bucket(g.point_of(r.key)));
      continue;
    }
    const auto image = *layout::decode_image(as_bytes(r.body), g.bucket_size);
    for (const layout::ImageBucket& b : image) buckets.insert(b.number);
  }
  ASSERT_GT(log.batches, 2000u);
  ASSERT_GT(buckets.size(), 100u);

  ShardFixture again(g, s.ssd.contents(), {.blocks = 64});
  ASSERT_TRUE(again.start().ok());
  const RecoveryReport& r = again.shard.recovery();
  EXPECT_EQ(r.passes, 1u);
  EXPECT_EQ(r.images, 0u);  // all are in place
  // Those that wait for a slot, and spilled ones, are read again.
  EXPECT_LE(r.buckets_read, buckets.size() + 20);
  EXPECT_GE(r.buckets_read, buckets.size());
  EXPECT_LE(again.device.counters().bytes_read,
            g.log_size + 8 * layout::max_batch(g) + r.buckets_read * g.bucket_size +
                r.records_applied * (Log::record_storage(g) + 8 * g.bucket_size));
  for (std::uint64_t i = 1700; i < 2000; ++i)
    EXPECT_EQ(again.get(key_of(i % 300))->value, std::to_string(i));
}

TEST_F(RecoveryTest, TwoKeysOfOneHashBothComeBack) {
  for (const std::uint64_t memory : {Recoveries::kMemory, std::uint64_t{0}}) {
    ShardFixture s(geometry_, formatted(geometry_), {.blocks = 64});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    for (std::uint64_t n = 0; n < 10; ++n) {
      const auto [a, b] = colliding_keys(geometry_.hash_seed, n);
      ASSERT_EQ(geometry_.point_of(a), geometry_.point_of(b));
      ASSERT_EQ(s.put(client, a, "a" + std::to_string(n)).code, Code::ok);
      ASSERT_EQ(s.put(client, b, "b" + std::to_string(n)).code, Code::ok);
    }
    ShardFixture again(geometry_, s.ssd.contents(), {.blocks = 64, .recovery_memory = memory});
    ASSERT_TRUE(again.start().ok());
    for (std::uint64_t n = 0; n < 10; ++n) {
      const auto [a, b] = colliding_keys(geometry_.hash_seed, n);
      EXPECT_EQ(again.get(a)->value, "a" + std::to_string(n));
      EXPECT_EQ(again.get(b)->value, "b" + std::to_string(n));
    }
  }
}

// Where the newest batch is, is guessed by headers; those that are damaged mislead.
TEST_F(RecoveryTest, AWrongGuessOfTheNewestBatchCostsOneMoreReading) {
  ShardFixture s(geometry_, formatted(geometry_), {.blocks = 1024});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 60; ++i)
    ASSERT_EQ(s.put(client, key_of(i), std::string(100, 'v')).code, Code::ok);
  const storage::WholeLog log = *run(*s.loop, storage::whole_log(s.ssd, geometry_, test_log_key()));
  Bytes damaged = s.ssd.contents();
  const std::uint64_t window = layout::max_batch(geometry_);
  const std::uint64_t newest = log.newest.lsn % geometry_.log_size;
  std::uint64_t left = 0;
  for (const layout::BatchHeader& batch : log.live) {
    // Of the first window, and of all but the last windows.
    const std::uint64_t at = batch.lsn % geometry_.log_size;
    if (at < window || at + 2 * window < newest) {
      damaged[geometry_.log_offset + at] ^= std::byte{1};
    } else {
      ++left;
    }
  }
  ASSERT_GT(left, 5u);
  block::PowerCutSsd ssd(*s.loop, damaged, 1);
  const auto found = run(*s.loop, storage::whole_log(ssd, geometry_, test_log_key()));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->live.size(), left);
  EXPECT_EQ(found->newest.lsn, log.newest.lsn);
  EXPECT_GE(ssd.counters().bytes_read, 2 * geometry_.log_size);
  EXPECT_FALSE(found->damage.empty());
}

TEST_F(RecoveryTest, ClientsAreToldHowFarItIs) {
  ShardFixture s(geometry_, formatted(geometry_), options_);
  s.device.delay(block::Io::Kind::read, 5 * kMillisecond);
  class Newcomer final : public fabric::Peer {
    void reply(std::uint64_t, ByteView) override {}
    void close(std::string) override {}
    const std::string& name() const override { return name_; }
    const std::string name_ = "newcomer";
  } newcomer;
  Bytes hello;
  layout::encode(hello, layout::HelloRequest{0});
  bool started = false;
  s.loop->spawn([](ShardFixture* of, bool* done) -> Task<void> {
    EXPECT_TRUE((co_await of->shard.start()).ok());
    *done = true;
  }(&s, &started));
  std::set<std::string> told;
  turn_until(*s.loop, [&] {
    if (started) return true;
    const Result<Bytes> answer = s.shard.on_hello(newcomer, hello);
    EXPECT_EQ(answer.code(), Code::unavailable);
    told.insert(answer.status().message());
    return false;
  });
  EXPECT_GT(told.size(), 1u);
  for (const std::string& text : told)
    EXPECT_THAT(text, ::testing::MatchesRegex("the server recovers its log, [0-9]+ %"));
  EXPECT_TRUE(s.shard.on_hello(newcomer, hello).ok());
  s.shard.on_disconnect(newcomer);
  EXPECT_TRUE(run(*s.loop, s.shard.stop()).ok());
}

TEST_F(RecoveryTest, ADeviceErrorIsPassedOn) {
  for (const block::Io::Kind kind : {block::Io::Kind::read, block::Io::Kind::flush}) {
    ShardFixture s(geometry_, formatted(geometry_), options_);
    s.device.fail(kind);
    EXPECT_EQ(s.start().code(), Code::io_error);
  }
}

}  // namespace
}  // namespace scalio::server
