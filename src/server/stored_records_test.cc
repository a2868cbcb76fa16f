// What is read of a store at rest, against what a server that is started on it serves.
#include "server/stored_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "testing/shard_fixture.h"
#include "testing/whole_log.h"

namespace scalio::server {
namespace {

using layout::RequestKind;
using ::testing::HasSubstr;

struct StoredRead {
  Status status;
  std::map<std::string, Stored> records;
  storage::Findings damage;
  std::vector<StoredPart> parts;  // without their records
};

class StoredRecordsTest : public ::testing::Test {
 protected:
  std::string key_of(std::uint64_t n) const { return "key" + std::to_string(n); }

  // So large that buckets spill.
  std::string value_of(std::uint64_t n) const { return std::to_string(n) + std::string(80, 'v'); }

  // Reads these bytes as an SSD, of which `lost` cannot be read.
  StoredRead read(const Bytes& contents, StoredOptions options,
                  const std::vector<block::Extent>& lost = {}) {
    const LoopPtr loop = make_loop();
    block::PowerCutSsd ssd(*loop, contents, 1);
    block::FaultyDevice faulty(*loop, ssd);
    for (const block::Extent& extent : lost)
      faulty.fail(block::Io::Kind::read, block::FaultyDevice::kEvery, extent);
    block::SalvageDevice device(*loop, faulty);
    StoredRead out;
    double part = 0;
    options.on_progress = [&](double done) {
      EXPECT_GE(done, part);
      part = done;
    };
    options.take = [&](const StoredPart& p) -> Task<Status> {
      EXPECT_LT(p.first, p.end);
      out.parts.push_back({p.first, p.end, p.whole, {}});
      for (const layout::RecordView& r : p.records) {
        const Stored stored{std::string(r.value), r.version};
        EXPECT_TRUE(out.records.emplace(std::string(r.key), stored).second)
            << r.key << " is there twice";
      }
      co_return Status();
    };
    out.status = run(*loop, read_stored(*loop, device, geometry_, std::move(options), out.damage));
    EXPECT_TRUE(!out.status.ok() || part == 1) << part;
    EXPECT_TRUE(ssd.contents() == contents);
    EXPECT_EQ(ssd.counters().writes + ssd.counters().flushes, 0u);
    return out;
  }
  StoredOptions options(std::uint64_t memory = 64 << 20) const {
    StoredOptions o;
    o.key = test_log_key();
    o.memory = memory;
    return o;
  }

  // What a server serves of the test's keys that is started on these bytes.
  std::map<std::string, Stored> served(const Bytes& contents) {
    ShardFixture s(geometry_, contents, fixture_);
    const Status started = s.start();
    EXPECT_TRUE(started.ok()) << started.to_string();
    std::map<std::string, Stored> all;
    for (std::uint64_t i = 0; started.ok() && i < kKeys; ++i) {
      if (const auto found = s.get(key_of(i))) all[key_of(i)] = *found;
    }
    return all;
  }

  // The bytes of a store after random writes: as power cuts left them, about every `every` device
  // writes, and at last as it is, running.
  std::vector<Bytes> lives(int writes, std::uint64_t every, std::uint64_t seed) {
    ShardFixture::Options options = fixture_;
    options.seed = seed;
    options.batch_max = seed % 2 == 0 ? 4 : 256;
    ShardFixture s(geometry_, formatted(geometry_), options);
    EXPECT_TRUE(s.start().ok());
    std::mt19937_64 random(seed);
    std::vector<Bytes> cuts;
    s.ssd.on_change = [&] {
      if (random() % every == 0) cuts.push_back(s.ssd.after_power_cut());
    };
    TestClient client(s.shard);
    for (int i = 0; i < writes; ++i) {
      const std::string key = key_of(random() % kKeys);
      const std::string value = std::to_string(i) + std::string(random() % 90, 'v');
      const bool removal = random() % 4 == 0;
      client.send(removal ? RequestKind::remove : RequestKind::put, key, removal ? "" : value);
      turn_until(*s.loop, [&] { return client.ready(random() % 10 == 0 ? 1 : 100); });
    }
    turn_until(*s.loop, [&] { return client.in_flight() == 0; });
    s.ssd.on_change = [] {};
    cuts.push_back(s.ssd.contents());
    return cuts;
  }

  // A store with all keys in its buckets, and none in the live log.
  Bytes merged() {
    ShardFixture s(geometry_, formatted(geometry_), fixture_);
    EXPECT_TRUE(s.start().ok());
    TestClient client(s.shard);
    for (std::uint64_t i = 0; i < kKeys; ++i)
      EXPECT_EQ(s.put(client, key_of(i), value_of(i)).code, Code::ok);
    client.disconnect();
    EXPECT_TRUE(s.stop().ok());
    return s.ssd.contents();
  }

  // What is in `whole` and not in `rest` can have been in this bucket.
  void expect_missing_only(const std::map<std::string, Stored>& whole, const StoredRead& rest,
                           std::uint64_t bucket) {
    for (const auto& [key, stored] : whole) {
      const auto found = rest.records.find(key);
      if (found != rest.records.end()) {
        EXPECT_EQ(found->second, stored) << key;
      } else {
        const std::uint64_t home = geometry_.home_bucket(geometry_.point_of(key));
        EXPECT_TRUE(home <= bucket && bucket - home <= layout::SsdGeometry::kMaxReach) << key;
      }
    }
    EXPECT_LE(rest.records.size(), whole.size());
  }

  static constexpr std::uint64_t kKeys = 60;
  const layout::SsdGeometry geometry_ = test_geometry(20, 512, 256 << 10);
  const ShardFixture::Options fixture_{.blocks = 8, .write_slots = 2};
};

TEST_F(StoredRecordsTest, IsWhatARestartedServerServes) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<Bytes> cuts = lives(1200, 150, seed);
    ASSERT_GT(cuts.size(), 5u);
    for (const Bytes& contents : cuts) {
      // Also in many passes, of a few records each, which share homes.
      const StoredRead found = read(contents, options(seed > 2 ? 0 : 64 << 20));
      ASSERT_TRUE(found.status.ok()) << found.status.to_string();
      EXPECT_EQ(found.damage.named(), std::vector<std::string>());
      EXPECT_EQ(found.records, served(contents));
      if (HasFailure()) return;
    }
  }
}

// As if each bucket had been torn when it was written last: all there is of it is its image in the
// log. A record that has spilled is in a bucket that an earlier pass had the image of.
TEST_F(StoredRecordsTest, ATornBucketIsThereAlsoInThePassesAfterThatOfItsImage) {
  ShardFixture s(geometry_, formatted(geometry_), fixture_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < kKeys; ++i)
    ASSERT_EQ(s.put(client, key_of(i), value_of(i)).code, Code::ok);
  Bytes contents = s.ssd.contents();
  std::uint64_t spilled = 0;
  for (std::uint64_t n = 0; n < geometry_.all_buckets(); ++n) {
    layout::Bucket bucket(ByteSpan(contents).subspan(geometry_.bucket_at(n), 512));
    if (bucket.verify(geometry_.store_id(), n) != layout::BucketState::ok) continue;
    spilled += bucket.reach() > 0 ? 1 : 0;
    contents[geometry_.bucket_at(n) + 300] ^= std::byte{1};
  }
  ASSERT_GT(spilled, 0u);
  const StoredRead found = read(contents, options(0));
  ASSERT_TRUE(found.status.ok()) << found.status.to_string();
  EXPECT_GT(found.parts.size(), 5u) << "one of each pass";
  EXPECT_EQ(found.damage.named(), std::vector<std::string>());
  EXPECT_EQ(found.records.size(), kKeys);
  EXPECT_EQ(found.records, served(contents));
}

TEST_F(StoredRecordsTest, PartsThatAreWholeAreTheStore) {
  const StoredRead found = read(merged(), options());
  ASSERT_EQ(found.parts.size(), 1u);
  EXPECT_TRUE(found.parts[0].whole);
  EXPECT_EQ(found.parts[0].first, 0u);
  EXPECT_EQ(found.parts[0].end, geometry_.buckets);
}

TEST_F(StoredRecordsTest, OfADamagedBucketOnlyItsRecordsAreMissing) {
  const Bytes intact = merged();
  Bytes contents = intact;
  // Its log has no image that would repair it.
  const StoredRead whole = read(contents, StoredOptions());
  ASSERT_EQ(whole.records.size(), kKeys);
  for (std::uint64_t n = 0; n < geometry_.all_buckets(); ++n) {
    contents = intact;
    layout::Bucket bucket(ByteSpan(contents).subspan(geometry_.bucket_at(n), 512));
    if (bucket.verify(geometry_.store_id(), n) != layout::BucketState::ok) continue;
    const std::uint64_t records = bucket.count();
    contents[geometry_.bucket_at(n) + 300] ^= std::byte{1};
    const StoredRead found = read(contents, StoredOptions());
    ASSERT_TRUE(found.status.ok());
    ASSERT_EQ(found.damage.named().size(), 2u) << "the log that is left out, and the bucket";
    EXPECT_THAT(found.damage.named()[1], HasSubstr(std::to_string(geometry_.bucket_at(n))));
    EXPECT_EQ(found.records.size(), kKeys - records) << "bucket " << n;
    EXPECT_FALSE(found.parts[0].whole);
    expect_missing_only(whole.records, found, n);
  }
}

TEST_F(StoredRecordsTest, WhatCannotBeReadIsMissingAlone) {
  const Bytes contents = merged();
  const StoredRead whole = read(contents, StoredOptions());
  const std::uint64_t bad = round_up(geometry_.bucket_at(8), 4096);
  const StoredRead found = read(contents, StoredOptions(), {{bad, bad + 512}});
  ASSERT_TRUE(found.status.ok()) << found.status.to_string();
  ASSERT_EQ(found.damage.named().size(), 2u);
  EXPECT_THAT(found.damage.named()[1], HasSubstr("8 buckets of shard 0"));
  EXPECT_GT(found.records.size(), 0u);
  EXPECT_LT(found.records.size(), kKeys);
  for (const auto& [key, stored] : found.records) EXPECT_EQ(whole.records.at(key), stored);

  // And the same in the log: the newest of the buckets are there all the same.
  const std::uint64_t in_log = geometry_.log_offset + geometry_.log_size / 2;
  const StoredRead of_log = read(contents, options(), {{in_log, in_log + 4096}});
  ASSERT_TRUE(of_log.status.ok()) << of_log.status.to_string();
  EXPECT_EQ(of_log.records, whole.records);
}

TEST_F(StoredRecordsTest, DamageInTheLogIsToldAndTheRestIsThere) {
  ShardFixture s(geometry_, formatted(geometry_), {.blocks = 1024});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  for (std::uint64_t i = 0; i < 30; ++i)
    ASSERT_EQ(s.put(client, key_of(i), "value" + std::to_string(i)).code, Code::ok);
  Result<storage::WholeLog> scan =
      run(*s.loop, storage::whole_log(s.ssd, geometry_, test_log_key()));
  ASSERT_TRUE(scan.ok());
  ASSERT_GE(scan->live.size(), 30u);
  const std::uint64_t offset = geometry_.log_offset + scan->live[12].lsn % geometry_.log_size;
  Bytes damaged = s.ssd.contents();
  damaged[offset + layout::kBatchHeader + layout::kLogRecordHeader + 1] ^= std::byte{8};
  const StoredRead found = read(damaged, options());
  ASSERT_TRUE(found.status.ok());
  ASSERT_EQ(found.damage.named().size(), 1u);
  EXPECT_THAT(found.damage.named()[0], HasSubstr(std::to_string(offset)));
  EXPECT_EQ(found.records, served(damaged));
  EXPECT_GE(found.records.size(), 29u);
}

// Such as a DELETE that was merged and whose record is lost, while the PUT before it is not.
TEST_F(StoredRecordsTest, WhateverIsLostOfTheLogWhatIsMergedStays) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Bytes contents = lives(600, 1'000'000, seed).back();
    std::mt19937_64 random(seed);
    for (int i = 0; i < 15; ++i) {
      Bytes damaged = contents;
      damaged[geometry_.log_offset + random() % geometry_.log_size] ^= std::byte{1};
      const StoredRead found = read(damaged, options(i % 2 == 0 ? 0 : 64 << 20));
      ASSERT_TRUE(found.status.ok()) << found.status.to_string();
      ASSERT_EQ(found.records, served(damaged)) << "seed " << seed << ", " << i;
    }
  }
}

TEST_F(StoredRecordsTest, WithoutItsLogAStoreHasItsBuckets) {
  Bytes contents = merged();
  const StoredRead whole = read(contents, options());
  EXPECT_EQ(whole.records.size(), kKeys);
  EXPECT_TRUE(whole.damage.empty());
  const auto expect_buckets = [&](const StoredRead& found) {
    ASSERT_TRUE(found.status.ok()) << found.status.to_string();
    ASSERT_EQ(found.damage.named().size(), 1u);
    EXPECT_THAT(found.damage.named()[0], HasSubstr("the log of shard 0 was not read"));
    EXPECT_EQ(found.records, whole.records);
  };
  expect_buckets(read(contents, StoredOptions()));
  std::fill_n(contents.begin() + static_cast<std::ptrdiff_t>(geometry_.log_offset),
              geometry_.log_size, std::byte{0});
  expect_buckets(read(contents, options()));
}

TEST_F(StoredRecordsTest, WhatHasEndedIsLeftOut) {
  const std::uint64_t hour = 3600 * kSecond, now = wall_time();
  ShardFixture s(geometry_, formatted(geometry_), fixture_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  std::uint64_t call = 0;
  for (const std::uint64_t end : {now + hour, now + 3 * hour, std::uint64_t{0}, now - hour}) {
    ++call;
    client.send_as(call, call, 1, RequestKind::put, key_of(call), "value", 0, end);
    turn_until(*s.loop, [&] { return client.answers.contains(call); });
    EXPECT_EQ(client.answers[call].front().code, Code::ok);
  }
  const auto expect = [&](std::uint64_t time, std::size_t records) {
    StoredOptions at = options();
    at.time = time;
    const StoredRead found = read(s.ssd.contents(), at);
    EXPECT_EQ(found.records.size(), records);
    EXPECT_EQ(found.records.contains(key_of(1)), records == 3);
  };
  expect(now + hour - 1, 3);
  expect(now + hour, 2);
  expect(now - 2 * hour, 3);  // on a clock that is behind the log's
  client.disconnect();
  ASSERT_TRUE(s.stop().ok());
  expect(now + hour - 1, 3);  // all is in the buckets now
  expect(now + hour, 2);
}

TEST_F(StoredRecordsTest, WhatTakesThemMayFail) {
  const LoopPtr loop = make_loop();
  block::PowerCutSsd ssd(*loop, merged(), 1);
  block::SalvageDevice device(*loop, ssd);
  StoredOptions failing = options();
  failing.take = [](const StoredPart&) -> Task<Status> {
    co_return Status(Code::io_error, "no space left");
  };
  storage::Findings damage;
  const Status s = run(*loop, read_stored(*loop, device, geometry_, failing, damage));
  EXPECT_EQ(s.code(), Code::io_error);
  EXPECT_EQ(s.message(), "no space left");
}

}  // namespace
}  // namespace scalio::server
