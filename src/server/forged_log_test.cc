// Who reads the SSDs and chooses values knows all of the log but its key. Whatever such a client
// gets into the ring, a server that starts believes none of it. Each attack is shown to work with
// the key: so the MACs are what it fails by.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"
#include "server/recovery.h"
#include "testing/shard_fixture.h"
#include "testing/whole_log.h"

namespace scalio::server {
namespace {

class ForgedLogTest : public ::testing::Test {
 protected:
  using Fill = std::function<void(layout::BatchBuilder&)>;

  static layout::SsdGeometry geometry() {
    layout::SsdGeometry g = test_geometry(20, 4096, 512 << 10);
    g.inline_limit = 3000;
    return g;
  }
  std::string key_of(std::uint64_t n) const { return "key" + std::to_string(n); }
  // A store in use, that was started several times, and whose log has been written over more than
  // once.
  void SetUp() override {
    contents_ = formatted(g_);
    for (int life = 0; life < 4; ++life) {
      ShardFixture s(g_, contents_, options_);
      ASSERT_TRUE(s.start().ok());
      TestClient client(s.shard);
      for (std::uint64_t i = 0; i < 80; ++i) {
        values_[key_of(i % 30)] =
            std::to_string(life) + "-" + std::to_string(i) + std::string(1500, 'v');
        ASSERT_EQ(s.put(client, key_of(i % 30), values_[key_of(i % 30)]).code, Code::ok);
      }
      seen_.push_back(contents_ = s.ssd.contents());
    }
    live_ = scan(contents_).live;
    newest_ = live_.back();
    time_ = newest_.time;
    head_ = newest_.lsn + newest_.length;
    if (g_.log_size - head_ % g_.log_size < (64 << 10)) head_ = round_up(head_, g_.log_size);
  }
  storage::WholeLog scan(const Bytes& contents) const {
    LoopPtr loop = make_loop();
    block::PowerCutSsd ssd(*loop, contents, 1);
    Result<storage::WholeLog> found = run(*loop, storage::whole_log(ssd, g_, test_log_key()));
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return *std::move(found);
  }
  // A batch, with what `fill` adds to it.
  Bytes batch(
      const layout::LogKey& key, std::uint64_t lsn, std::uint64_t tail, std::uint64_t version,
      const Fill& fill = [](auto&) {}) const {
    Bytes buffer(64 << 10);
    layout::BatchBuilder b(key, g_.store_id());
    b.begin(buffer, lsn);
    fill(b);
    buffer.resize(b.finish(std::min(tail, lsn), version, time_, g_.block_size).size());
    return buffer;
  }
  std::byte* ring_at(std::uint64_t lsn) {
    return contents_.data() + g_.log_offset + lsn % g_.log_size;
  }
  void write(std::uint64_t lsn, ByteView bytes) { copy_bytes(bytes, ring_at(lsn)); }
  // Tombstones of all keys, that win over every write.
  Fill removals() const {
    return [this](layout::BatchBuilder& b) {
      for (std::uint64_t i = 0; i < 30; ++i)
        b.add(layout::LogKind::tombstone, newest_.version + 2, key_of(i), {});
    };
  }
  // A server put a client's value into the log, at the next block of which there is `forged`.
  void put_value_with(const Bytes& forged) {
    std::string value(512 - layout::kBatchHeader - layout::kLogRecordHeader - 1, 'p');
    value += as_string(forged);
    write(head_, batch(test_log_key(), head_, newest_.tail, newest_.version + 1, [&](auto& b) {
            b.add(layout::LogKind::value, newest_.version + 1, "f", as_bytes(value));
          }));
  }

  // The server starts, has all that was acknowledged, takes writes, and does so again.
  void expect_all_is_there() {
    std::map<std::string, std::string> values = values_;
    Bytes contents = contents_;
    for (int life = 0; life < 3; ++life) {
      ShardFixture s(g_, contents, options_);
      const Status started = s.start();
      ASSERT_TRUE(started.ok()) << started.to_string();
      for (const auto& [key, value] : values) {
        auto found = s.get(key);
        ASSERT_TRUE(found) << key;
        EXPECT_EQ(found->value, value) << key;
      }
      TestClient client(s.shard);
      for (std::uint64_t i = life; i < 30; i += 3) {
        values[key_of(i)] = "after " + std::to_string(life);
        const WriteAnswer a = s.put(client, key_of(i), values[key_of(i)]);
        EXPECT_EQ(a.code, Code::ok) << a.text;
        EXPECT_LT(a.version, 1ULL << 32);
      }
      if (life == 1) {
        EXPECT_TRUE(s.stop().ok());
      }
      contents = s.ssd.contents();
    }
  }
  // Whether a server that starts lacks what was acknowledged.
  bool something_is_gone() {
    ShardFixture s(g_, contents_, options_);
    const Status started = s.start();
    EXPECT_TRUE(started.ok()) << started.to_string();
    return std::any_of(values_.begin(), values_.end(), [&](const auto& record) {
      auto found = s.get(record.first);
      return !found || found->value != record.second;
    });
  }
  // What a client knows, or learns of another slice, tried as keys.
  std::vector<layout::LogKey> guesses() const {
    const layout::Mac proof = layout::proof_of({1, 2, 3});  // it is in the superblock
    const layout::LogKey ours = test_log_key();
    layout::StoreKey from_uuid{};
    std::copy(g_.uuid.begin(), g_.uuid.end(), from_uuid.begin());
    return {layout::LogKey{},
            {proof, proof},
            layout::log_key_of(from_uuid, 0),
            layout::log_key_of({1, 2, 3}, 1),
            {ours.record, ours.header}};
  }
  void expect_it_takes_the_key(const std::function<void(const layout::LogKey&)>& attack) {
    const Bytes before = contents_;
    for (const layout::LogKey& guess : guesses()) {
      contents_ = before;
      attack(guess);
      expect_all_is_there();
    }
    contents_ = before;
    attack(test_log_key());
    EXPECT_TRUE(something_is_gone()) << "the attack would not work with the key either";
  }

  const layout::SsdGeometry g_ = geometry();
  const ShardFixture::Options options_{.blocks = 16, .write_slots = 4};
  Bytes contents_;
  std::vector<Bytes> seen_;  // the SSD as it was after each life
  std::map<std::string, std::string> values_;
  std::vector<layout::BatchHeader> live_;
  layout::BatchHeader newest_;
  std::uint64_t head_ = 0;
  std::uint64_t time_ = 0;  // of a batch that is forged
};

TEST_F(ForgedLogTest, NothingForged) { expect_all_is_there(); }

// Where a batch was written over in part, or was not durable when the power failed.
TEST_F(ForgedLogTest, ABatchBehindTheHead) {
  expect_it_takes_the_key([&](const layout::LogKey& key) {
    write(head_, batch(key, head_, newest_.tail, newest_.version + 2, removals()));
  });
}

TEST_F(ForgedLogTest, ABatchBehindTheHeadThatSkipsALap) {
  expect_it_takes_the_key([&](const layout::LogKey& key) {
    const std::uint64_t lsn = head_ + g_.log_size;
    write(lsn, batch(key, lsn, newest_.tail, newest_.version + 2, removals()));
  });
}

// A header that says that everything is in the buckets.
TEST_F(ForgedLogTest, ATailBehindWhatIsNotMerged) {
  expect_it_takes_the_key([&](const layout::LogKey& key) {
    write(head_, batch(key, head_, head_, newest_.version + 2));
  });
}

// A damaged header lets what is in its values be seen.
TEST_F(ForgedLogTest, ABatchInAValueOfADamagedOne) {
  expect_it_takes_the_key([&](const layout::LogKey& key) {
    put_value_with(batch(key, head_ + 512, newest_.tail, newest_.version + 2, removals()));
    *ring_at(head_) ^= std::byte{1};
  });
}

// In a batch that is whole it is in the way of nothing, whatever it says.
TEST_F(ForgedLogTest, ABatchInAValue) {
  for (const layout::LogKey& guess : guesses()) {
    for (const std::uint64_t lap : {0, 1, 5000}) {
      const std::uint64_t lsn = head_ + 512 + lap * g_.log_size;
      put_value_with(batch(guess, lsn, lsn, newest_.version + 2, removals()));
      expect_all_is_there();
    }
  }
}

// A record that a header of ours counts.
TEST_F(ForgedLogTest, ARecordUnderAnAuthenticHeader) {
  const auto replace = [&](const layout::LogKey& key) {
    const Bytes forged = batch(key, newest_.lsn, 0, 0, [&](auto& b) {
      b.add(layout::LogKind::tombstone, newest_.version, key_of(3), {});
    });
    copy_bytes(ByteView(forged).subspan(layout::kBatchHeader, 64),
               ring_at(newest_.lsn) + layout::kBatchHeader);
  };
  // What stood there is lost, as by damage.
  for (auto value = values_.begin(); value != values_.end(); ++value) {
    if (!value->second.starts_with("3-79")) continue;
    ASSERT_NE(value->first, key_of(3));
    values_.erase(value);
    break;
  }
  ASSERT_EQ(values_.size(), 29u);
  ASSERT_EQ(newest_.records, 1u);
  expect_it_takes_the_key(replace);
}

// Whole batches of earlier laps, where they once were: as a client's values there would be, when
// their own batch's header is gone.
TEST_F(ForgedLogTest, ReplaysAtTheirOwnPlace) {
  const Bytes before = contents_;
  int replayed = 0;
  for (const Bytes& seen : seen_) {
    for (const layout::BatchHeader& old : scan(seen).live) {
      const std::uint64_t at = old.lsn % g_.log_size;
      const bool overlaps = std::any_of(live_.begin(), live_.end(), [&](const auto& live) {
        const std::uint64_t begin = live.lsn % g_.log_size;
        return at < begin + live.length && begin < at + old.length;
      });
      if (overlaps) continue;
      contents_ = before;
      write(old.lsn, ByteView(seen).subspan(g_.log_offset + at, old.length));
      ASSERT_FALSE(something_is_gone()) << "LSN " << old.lsn;
      ++replayed;
    }
  }
  contents_ = before;
  EXPECT_GT(replayed, 20);
}

// The same with an LSN, a tail and versions that would make them the newest.
TEST_F(ForgedLogTest, ReplaysMadeToLookNew) {
  const Bytes before = contents_;
  int replayed = 0;
  for (const Bytes& seen : {seen_[1], seen_[2]}) {
    for (const layout::BatchHeader& old : scan(seen).live) {
      Bytes bytes(seen.begin() + static_cast<std::ptrdiff_t>(g_.log_offset + old.lsn % g_.log_size),
                  seen.begin() + static_cast<std::ptrdiff_t>(g_.log_offset + old.lsn % g_.log_size +
                                                             old.length));
      store(bytes.data() + 24, head_);
      store(bytes.data() + 32, newest_.tail);
      store(bytes.data() + 40, newest_.version + 2);
      bytes[layout::kBatchHeader + 16] = std::byte{0xff};  // the record's version
      bytes[layout::kBatchHeader + 18] = std::byte{1};
      contents_ = before;
      write(head_, bytes);
      ASSERT_FALSE(something_is_gone()) << "LSN " << old.lsn;
      ++replayed;
    }
  }
  contents_ = before;
  EXPECT_GT(replayed, 10);
}

// An authentic record of another batch under an authentic header, where a record of its size was.
TEST_F(ForgedLogTest, RecordsMovedBetweenBatches) {
  const Bytes before = contents_;
  int moved = 0;
  for (const layout::BatchHeader& from : live_) {
    if (from.length != newest_.length || from.lsn == newest_.lsn) continue;
    contents_ = before;
    copy_bytes(
        ByteView(before).subspan(g_.log_offset + from.lsn % g_.log_size + layout::kBatchHeader,
                                 from.length - layout::kBatchHeader),
        ring_at(newest_.lsn) + layout::kBatchHeader);
    ShardFixture s(g_, contents_, options_);
    ASSERT_TRUE(s.start().ok());
    const std::function<void(const layout::LogRecordView&)> none = [](const auto& r) {
      ADD_FAILURE() << "a record of version " << r.version;
    };
    EXPECT_EQ(layout::decode_batch({ring_at(newest_.lsn), newest_.length}, newest_, test_log_key(),
                                   g_, none),
              newest_.records);
    ++moved;
  }
  contents_ = before;
  EXPECT_GT(moved, 3);
}

bool holds(ByteView bytes, const layout::Mac& key) {
  const ByteView wanted = std::as_bytes(std::span(key));
  return std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()) != bytes.end();
}

TEST_F(ForgedLogTest, TheKeyIsNowhere) {
  ShardFixture s(g_, contents_, options_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Bytes hello;
  layout::encode(hello, client.hello);
  for (const layout::Mac& key : {test_log_key().header, test_log_key().record}) {
    EXPECT_FALSE(holds(s.ssd.contents(), key));
    EXPECT_FALSE(holds(hello, key));
  }
}

// --- Defects of a writer -------------------------------------------------------------------------

// What cannot be is left out, under a right MAC too.
TEST_F(ForgedLogTest, RecordsThatCannotBe) {
  const std::uint64_t lsn = head_ + g_.log_size, version = newest_.version + 1;
  Bytes page(g_.bucket_size), nowhere, torn;
  layout::encode_image(nowhere, {{~0ULL, page}});
  layout::encode_image(torn, {{3, page}});
  int good = 0;
  write(lsn, batch(test_log_key(), lsn, newest_.tail, version, [&](layout::BatchBuilder& b) {
          const auto x = as_bytes(std::string_view("x"));
          const auto then_a_good_one = [&] {
            const std::string key = "good" + std::to_string(good++);
            values_[key] = "x";
            b.add(layout::LogKind::value, version, key, x);
          };
          b.add(layout::LogKind::value, 0, key_of(3), x);
          then_a_good_one();
          b.add(layout::LogKind::value, version, key_of(4), as_bytes(std::string(3100, 'x')));
          then_a_good_one();
          b.add(layout::LogKind::tombstone, version, key_of(5), x);
          then_a_good_one();
          for (const Bytes& image : {nowhere, torn}) {
            b.add(layout::LogKind::image, 0, "", image);
            then_a_good_one();
          }
        }));
  expect_all_is_there();
}

// What goes on from the newest batch would not be newer than what the one before it has.
TEST_F(ForgedLogTest, ABatchThatKnowsLessThanTheOneBefore) {
  const Bytes before = contents_;
  const auto start_with = [&](std::uint64_t version, std::uint64_t time) {
    contents_ = before;
    std::uint64_t lsn = head_ + g_.log_size;
    for (const bool newest : {false, true}) {
      time_ = newest ? time : newest_.time + 9;
      const std::uint64_t knows = newest ? version : newest_.version + 9;
      const Bytes bytes = batch(test_log_key(), lsn, newest_.tail, knows, [&](auto& b) {
        b.add(layout::LogKind::value, knows, key_of(3), as_bytes(std::string_view("x")));
      });
      write(lsn, bytes);
      lsn += bytes.size();
    }
    ShardFixture s(g_, contents_, options_);
    return s.start().code();
  };
  EXPECT_EQ(start_with(newest_.version + 9, newest_.time + 9), Code::ok);
  EXPECT_EQ(start_with(newest_.version + 8, newest_.time + 9), Code::corrupt);
  EXPECT_EQ(start_with(newest_.version + 9, newest_.time + 8), Code::corrupt);
}

// Whatever stands in the ring, in batches whose MACs are right: a start ends, within its memory,
// and the server takes writes or says that the log is corrupt.
TEST_F(ForgedLogTest, AnythingAnywhere) {
  std::mt19937_64 random(31);
  const auto number = [&](std::uint64_t near) -> std::uint64_t {
    switch (random() % 4) {
      case 0: return near + random() % 4096;
      case 1: return near + (random() % 4) * g_.log_size;
      case 2: return random() >> random() % 64;
      default: return near;
    }
  };
  int started = 0, refused = 0;
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    Bytes contents = contents_;
    for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
      const std::uint64_t offset =
          random() % 4 == 0 ? head_ % g_.log_size : random() % (g_.log_size / 512) * 512;
      const std::uint64_t lap =
          random() % 3 == 0 ? random() % (1ULL << 40) : head_ / g_.log_size - random() % 4;
      const std::uint64_t lsn = lap * g_.log_size + offset;
      // One after the other, or each compiler would make a log of its own.
      time_ = number(newest_.time);
      const std::uint64_t tail = number(newest_.tail);
      const std::uint64_t newest = number(newest_.version) & layout::kMaxVersion;
      Bytes forged = batch(test_log_key(), lsn, tail, newest, [&](layout::BatchBuilder& b) {
        for (std::uint64_t k = random() % 8; k > 0; --k) {
          const std::string body(random() % 4 == 0 ? random() % 6000 : random() % 40, 'x');
          const std::uint64_t version = number(newest_.version) & layout::kMaxVersion;
          const auto kind = static_cast<layout::LogKind>(1 + random() % 2);
          b.add(kind, version, key_of(random() % 40), as_bytes(body));
        }
      });
      if (random() % 3 == 0) store(forged.data() + 56, static_cast<std::uint32_t>(number(4096)));
      if (random() % 3 == 0) store(forged.data() + 60, static_cast<std::uint32_t>(number(4)));
      store(forged.data(), layout::mac(test_log_key().header,
                                       ByteView(forged).subspan(16, layout::kBatchHeader - 16)));
      forged.resize(std::min<std::size_t>(forged.size(), g_.log_size - offset));
      copy_bytes(forged, contents.data() + g_.log_offset + offset);
    }
    ShardFixture s(g_, std::move(contents), options_);
    const Status status = s.start();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), Code::corrupt) << status.to_string();
      ++refused;
      continue;
    }
    ++started;
    const RecoveryReport& r = s.shard.recovery();
    EXPECT_LE(r.damage.named().size(), storage::Findings::kMaxNamed);
    TestClient client(s.shard);
    for (std::uint64_t k = 0; k < 40; ++k) {
      const WriteAnswer a = s.put(client, key_of(k), "after");
      ASSERT_TRUE(a.code == Code::ok || a.code == Code::read_only) << a.text;
      if (a.code != Code::ok) continue;
      ASSERT_EQ(s.get(key_of(k)), (Stored{"after", a.version}));
    }
  }
  EXPECT_GT(started, 5);
  EXPECT_GT(refused, 5);
}

}  // namespace
}  // namespace scalio::server
