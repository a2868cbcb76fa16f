#include "server/bucket_store.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <set>

#include "testing/sanitizer.h"
#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

using layout::Kind;

// Takes images as the log would, and checks how they are used.
struct TestImages final : BucketStore::ImageLog {
  Task<Status> log_image(const layout::ImageBuckets& image, const layout::BucketTotals& change,
                         std::uint64_t* token) override {
    totals += change;
    EXPECT_LE(image.size(), layout::kMaxImageBuckets);
    *token = ++count;
    not_in_place.insert(count);
    for (const auto& b : image) last[b.number] = Bytes(b.bytes.begin(), b.bytes.end());
    co_return failure;
  }
  void image_in_place(std::uint64_t token) override { EXPECT_EQ(not_in_place.erase(token), 1u); }
  std::uint64_t count = 0;
  std::set<std::uint64_t> not_in_place;
  std::map<std::uint64_t, Bytes> last;
  layout::BucketTotals totals;
  Status failure;
};

class BucketStoreTest : public ::testing::Test {
 protected:
  void open(std::uint64_t buckets, std::uint32_t bucket_size = 512) {
    store_.reset();
    geometry_ = test_geometry(buckets, bucket_size);
    ssd_ = std::make_unique<block::PowerCutSsd>(*loop_, formatted(geometry_), 3);
    device_ = std::make_unique<block::FaultyDevice>(*loop_, *ssd_);
    room_ = std::make_unique<BucketRoom>(*loop_, geometry_);
    region_ = std::make_unique<block::Buffer>(blocks_.size());
    moves_ = std::make_unique<MoveCounts>(blocks_, region_->span(), buckets);
    store_ = std::make_unique<BucketStore>(*loop_, *device_, geometry_, images_, *room_, *moves_);
    while (const auto stretch = room_->unmeasured(0)) {
      const Status s = run(*loop_, store_->measure(*stretch));
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
  }
  std::uint64_t home_of(std::string_view key) {
    return geometry_.home_bucket(hash_key(key, geometry_.hash_seed));
  }
  // The i-th key whose home is `bucket`.
  std::string key_in(std::uint64_t bucket, int i) {
    for (int n = 0;; ++n) {
      std::string key = "k" + std::to_string(1000 + n);
      if (home_of(key) == bucket && i-- == 0) return key;
    }
  }
  static Task<Status> locked_apply(BucketStore& store, std::uint64_t home, Changes& changes,
                                   std::uint64_t applied,
                                   BucketStore::Droppable* droppable = nullptr) {
    co_await store.lock(home);
    Status s = co_await store.apply(home, changes, applied, droppable);
    store.unlock(home);
    co_return s;
  }
  Status apply(std::uint64_t home, Changes& changes, std::uint64_t applied = 0) {
    return run(*loop_, locked_apply(*store_, home, changes, applied));
  }
  // One change; true unless the store is full.
  bool put(const std::string& key, const std::string& value) {
    Changes changes{{{key, value, ++version_, Kind::value}}};
    Status s = apply(home_of(key), changes);
    EXPECT_TRUE(s.ok()) << s.to_string();
    return !changes[0].full;
  }
  void remove(const std::string& key) {
    Changes changes{{{key, "", ++version_, Kind::tombstone}}};
    Status s = apply(home_of(key), changes);
    EXPECT_TRUE(s.ok()) << s.to_string();
    EXPECT_FALSE(changes[0].full);
  }
  layout::Bucket bucket(std::uint64_t n) {
    return layout::Bucket(
        ByteSpan(ssd_->contents()).subspan(geometry_.bucket_at(n), geometry_.bucket_size));
  }
  // What clients see of the moves of a home.
  layout::MoveCount moves_of(std::uint64_t home) {
    const std::uint64_t at = blocks_.move_count_at(blocks_.move_count_of(home, geometry_.buckets));
    return layout::MoveCount::unpack(load<std::uint64_t>(region_->data() + at));
  }
  // Of each record the buckets that it is in.
  std::map<std::string, std::set<std::uint64_t>> places() {
    std::map<std::string, std::set<std::uint64_t>> all;
    for (std::uint64_t b = 0; b < geometry_.all_buckets(); ++b) {
      if (bucket(b).verify(geometry_.store_id(), b) != layout::BucketState::ok) continue;
      bucket(b).for_each([&](const layout::RecordView& r) { all[std::string(r.key)].insert(b); });
    }
    return all;
  }
  BucketStore::Found look_up(const std::string& key) {
    Result<BucketStore::Found> found =
        run(*loop_, store_->find(key, hash_key(key, geometry_.hash_seed)));
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return *found;
  }

  LoopPtr loop_ = make_loop();
  layout::SsdGeometry geometry_;
  TestImages images_;
  std::unique_ptr<block::PowerCutSsd> ssd_;
  std::unique_ptr<block::FaultyDevice> device_;
  std::unique_ptr<BucketRoom> room_;
  const layout::RegionGeometry blocks_{.blocks = 1, .move_counts = 3};
  std::unique_ptr<block::Buffer> region_;
  std::unique_ptr<MoveCounts> moves_;
  std::unique_ptr<BucketStore> store_;
  std::uint64_t version_ = 0;
};

TEST_F(BucketStoreTest, UnwrittenBucketsAreEmpty) {
  open(4);
  EXPECT_EQ(look_up("key").version, 0u);
  Changes none;
  EXPECT_TRUE(apply(0, none).ok());
  remove("key");
  EXPECT_EQ(images_.count, 0u) << "nothing has changed";
}

TEST_F(BucketStoreTest, OnlyNewerVersionsCount) {
  open(4);
  Changes changes{{{"key", "new", 10, Kind::value}}};
  ASSERT_TRUE(apply(home_of("key"), changes).ok());
  for (const Change& old :
       {Change{{"key", "old", 9, Kind::value}}, Change{{"key", "same", 10, Kind::value}},
        Change{{"key", "", 9, Kind::tombstone}}}) {
    changes = {old};
    ASSERT_TRUE(apply(home_of("key"), changes).ok());
    EXPECT_EQ(find_in_buckets(geometry_, ssd_->contents(), "key"), (Stored{"new", 10}));
  }
  changes = {{{"key", "", 11, Kind::tombstone}}};
  ASSERT_TRUE(apply(home_of("key"), changes).ok());
  EXPECT_EQ(look_up("key").version, 0u);
  EXPECT_TRUE(images_.not_in_place.empty());
}

TEST_F(BucketStoreTest, WhatTheImagesChangeIsWhatTheBucketsHold) {
  open(4);
  std::mt19937_64 random(5);
  std::uint64_t spilled = 0;
  for (int i = 0; i < 600; ++i) {
    const std::string key = "key" + std::to_string(random() % 30);
    if (random() % 3 == 0) {
      remove(key);
    } else {
      put(key, std::string(random() % 150, 'v'));
    }
    const layout::BucketTotals there = totals_in_buckets(geometry_, ssd_->contents());
    ASSERT_EQ(images_.totals, there) << i;
    spilled = std::max(spilled, there.spilled);
  }
  EXPECT_GT(spilled, 0u);
}

TEST_F(BucketStoreTest, AppliedIsRecordedAndNeverGoesBack) {
  open(4);
  Changes changes{{{"key", "value", 1, Kind::value}}};
  ASSERT_TRUE(apply(home_of("key"), changes, 1000).ok());
  EXPECT_EQ(look_up("key").applied, 1000u);
  changes[0].record.version = 2;
  ASSERT_TRUE(apply(home_of("key"), changes, 900).ok());
  EXPECT_EQ(look_up("key").applied, 1000u);
}

// What is full spills as far as the reach goes, and no farther.
TEST_F(BucketStoreTest, SpillsToNeighbours) {
  open(1);
  const std::string value(100, 'v');
  std::vector<std::string> stored;
  while (put("key" + std::to_string(100 + stored.size()), value)) {
    stored.push_back("key" + std::to_string(100 + stored.size()));
  }
  const std::size_t per_bucket =
      (512 - layout::kBucketHeader) / (layout::kBucketRecordHeader + 6 + value.size());
  EXPECT_EQ(stored.size(), per_bucket * (layout::SsdGeometry::kMaxReach + 1));
  EXPECT_EQ(bucket(0).reach(), layout::SsdGeometry::kMaxReach);
  EXPECT_EQ(all_in_buckets(geometry_, ssd_->contents()).size(), stored.size());
  for (const std::string& key : stored) EXPECT_NE(look_up(key).version, 0u) << key;

  // One that is there can still be replaced by one of its size; deletions make room.
  EXPECT_TRUE(put(stored[5], std::string(100, 'w')));
  EXPECT_FALSE(put("another", value));
  remove(stored[7]);
  EXPECT_TRUE(put("another", value));

  // Records are pulled back until home has them all, and the reach with them.
  while (stored.size() > 2) {
    remove(stored.back());
    stored.pop_back();
    // A sanitizer makes minutes of seconds.
    if (stored.size() % (kSanitized ? 8 : 1) == 0) all_in_buckets(geometry_, ssd_->contents());
  }
  remove("another");
  EXPECT_EQ(bucket(0).reach(), 0u);
  EXPECT_GT(bucket(0).moves(), 0u);
  EXPECT_EQ(bucket(0).count(), 2u);
}

// Rule 14 counts on no room for it: it may have been merged, and dropped since.
TEST_F(BucketStoreTest, WhatHasEndedNeedsNoRoom) {
  struct Clock final : BucketStore::Droppable {
    bool has_ended(const layout::RecordView& record) override { return record.ended_at(now); }
    bool may_drop(const layout::RecordView&) override { return false; }
    std::uint64_t now = 0;
  } clock;
  open(1);
  const std::string value(100, 'v');
  for (int i = 100; put("key" + std::to_string(i), value); ++i) {
  }
  const auto stored = all_in_buckets(geometry_, ssd_->contents());
  Changes changes{{{"another", value, ++version_, Kind::value, 1000}}};
  const auto merge = [&] {
    return run(*loop_, locked_apply(*store_, home_of("another"), changes, 0, &clock));
  };
  clock.now = 999;
  ASSERT_TRUE(merge().ok());
  EXPECT_TRUE(changes[0].full);
  changes[0].full = false;
  clock.now = 1000;
  ASSERT_TRUE(merge().ok());
  EXPECT_FALSE(changes[0].full);
  EXPECT_EQ(all_in_buckets(geometry_, ssd_->contents()), stored);
}

TEST_F(BucketStoreTest, ARecordThatGrowsMoves) {
  open(4);
  const std::string a = key_in(1, 0), b = key_in(1, 1), c = key_in(1, 2), d = key_in(1, 3);
  for (const std::string& key : {a, b, c, d}) ASSERT_TRUE(put(key, std::string(104, 'v')));
  EXPECT_EQ(bucket(1).reach(), 0u);
  const std::uint32_t moves = bucket(1).moves();
  ASSERT_TRUE(put(b, std::string(110, 'g')));  // it does not fit any more
  EXPECT_EQ(bucket(1).reach(), 1u);
  EXPECT_EQ(bucket(1).moves(), moves + 1);
  EXPECT_TRUE(bucket(2).find(b));
  EXPECT_EQ(all_in_buckets(geometry_, ssd_->contents()).size(), 4u);
  ASSERT_TRUE(put(b, std::string(111, 'g')));  // it grows where it is
  EXPECT_TRUE(bucket(2).find(b));
  remove(a);
  EXPECT_TRUE(bucket(1).find(b)) << "there is room at home again";
  EXPECT_EQ(bucket(1).reach(), 0u);
}

// Random changes of neighbouring homes, some of them at once, against a map. At every write, each
// key that is not being changed is found: a record on its way is in both places or in one, never in
// none.
TEST_F(BucketStoreTest, EqualsAMapAndNeverHidesARecord) {
  open(6);
  std::mt19937_64 random(11);
  std::map<std::string, Stored> model;
  std::set<std::string> changing;
  std::uint64_t checks = 0;
  ssd_->on_change = [&] {
    if (++checks % 7 != 0) return;
    for (const auto& [key, stored] : model) {
      if (changing.contains(key)) continue;
      ASSERT_EQ(find_in_buckets(geometry_, ssd_->contents(), key), stored) << key;
    }
  };
  for (int round = 0; round < 600; ++round) {
    const bool grow = round / 100 % 2 == 0;
    std::map<std::uint64_t, Changes> changes;
    std::list<std::string> texts;  // of them
    for (std::uint64_t n = 1 + random() % 8; n > 0; --n) {
      const std::string key = "key" + std::to_string(random() % 200);
      if (!changing.insert(key).second) continue;
      const bool removal = random() % 10 < (grow ? 1 : 6);
      const std::string& name = texts.emplace_back(key);
      const std::string& value =
          texts.emplace_back(removal ? "" : std::string(random() % 110, 'a' + round % 26));
      changes[home_of(key)].push_back(
          {{name, value, ++version_, removal ? Kind::tombstone : Kind::value}});
    }
    std::size_t left = changes.size();
    const auto one = [](BucketStore* store, std::uint64_t home, Changes* c,
                        std::size_t* count) -> Task<void> {
      Status s = co_await locked_apply(*store, home, *c, 0);
      EXPECT_TRUE(s.ok()) << s.to_string();
      --*count;
    };
    for (auto& [home, list] : changes) loop_->spawn(one(store_.get(), home, &list, &left));
    turn_until(*loop_, [&] { return left == 0; });
    for (auto& [home, list] : changes) {
      for (const Change& c : list) {
        if (c.full) continue;
        if (c.record.kind == Kind::tombstone) {
          model.erase(std::string(c.record.key));
        } else {
          model[std::string(c.record.key)] = {std::string(c.record.value), c.record.version};
        }
      }
    }
    changing.clear();
    if (round % 20 == 0) {
      ASSERT_EQ(all_in_buckets(geometry_, ssd_->contents()), model);
    }
  }
  EXPECT_EQ(all_in_buckets(geometry_, ssd_->contents()), model);
  EXPECT_TRUE(images_.not_in_place.empty());
  // The images are what is in place.
  for (const auto& [number, image] : images_.last) {
    EXPECT_TRUE(std::equal(image.begin(), image.end(), bucket(number).bytes().begin()))
        << "bucket " << number;
  }
}

// Rule 13: from before the first write of a move until its last one has ended.
TEST_F(BucketStoreTest, MovesAreCountedWhileTheyAreUnderWay) {
  open(4);
  std::uint64_t looks = 0, expected = 0;
  ssd_->on_change = [&] {
    ++looks;
    EXPECT_EQ(moves_of(1).under_way, expected);
    EXPECT_EQ(moves_of(3).under_way, 0U) << "another's";
  };
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put(key_in(1, i), std::string(104, 'v')));
  ASSERT_TRUE(put(key_in(1, 4), std::string(104, 'v')));  // spills, and nothing else moves
  EXPECT_EQ(bucket(1).reach(), 1U);
  ASSERT_TRUE(put(key_in(1, 0), std::string(104, 'w')));
  EXPECT_EQ(moves_of(1).begun, 0U);
  expected = 1;
  looks = 0;
  ASSERT_TRUE(put(key_in(1, 1), std::string(110, 'g')));  // moves behind its home
  EXPECT_EQ(looks, 4U) << "the begin and end of two writes";
  EXPECT_EQ(moves_of(1).begun, 1U);
  EXPECT_EQ(moves_of(1).under_way, 0U);
  remove(key_in(1, 0));  // fetches one back
  EXPECT_EQ(moves_of(1).begun, 2U);
  EXPECT_EQ(moves_of(1).under_way, 0U);
  EXPECT_EQ(moves_of(3).begun, 0U);
}

// Some of its buckets may be written.
TEST_F(BucketStoreTest, AMoveThatFailsStaysUnderWay) {
  open(4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put(key_in(1, i), std::string(104, 'v')));
  device_->fail(block::Io::Kind::write, 1);
  const std::string key = key_in(1, 1), value(110, 'g');
  Changes changes{{{key, value, ++version_, Kind::value}}};
  EXPECT_EQ(apply(1, changes).code(), Code::io_error);
  EXPECT_EQ(moves_of(1).begun, 1U);
  EXPECT_EQ(moves_of(1).under_way, 1U);
}

// What a scan counts on: while no move of its home is under way, a record stays where it is.
TEST_F(BucketStoreTest, NoRecordChangesItsBucketUncounted) {
  open(6);
  std::mt19937_64 random(17);
  std::map<std::string, std::set<std::uint64_t>> before;
  std::uint64_t moved = 0;
  ssd_->on_change = [&] {
    const auto now = places();
    for (const auto& [key, in] : now) {
      const auto was = before.find(key);
      if (was == before.end() || was->second == in) continue;
      ++moved;
      EXPECT_GT(moves_of(home_of(key)).under_way, 0U) << key;
    }
    before = now;
  };
  for (int i = 0; i < 2000; ++i) {
    const std::string key = "key" + std::to_string(random() % 60);
    if (random() % 4 == 0) {
      remove(key);
    } else {
      put(key, std::string(random() % 110, 'v'));
    }
  }
  EXPECT_GT(moved, 20U);
}

TEST_F(BucketStoreTest, ADamagedBucketIsNamedAndLeftAlone) {
  open(4);
  ASSERT_TRUE(put(key_in(1, 0), "value"));
  ASSERT_TRUE(put(key_in(2, 0), "value"));
  const std::uint64_t at = geometry_.bucket_at(1) + 40;
  ssd_->contents()[at] ^= std::byte{1};
  const Bytes before = ssd_->contents();
  const std::string key = key_in(1, 1);
  Changes changes{{{key, "other", ++version_, Kind::value}}};
  Status s = apply(1, changes);
  EXPECT_EQ(s.code(), Code::corrupt);
  EXPECT_NE(s.message().find("bucket 1 at offset " + std::to_string(geometry_.bucket_at(1))),
            std::string::npos)
      << s.message();
  EXPECT_EQ(ssd_->contents(), before);
  EXPECT_NE(look_up(key_in(2, 0)).version, 0u);
  EXPECT_TRUE(put(key_in(2, 1), "value"));
}

TEST_F(BucketStoreTest, ErrorsOfTheDeviceAndTheLogArePassedOn) {
  open(4);
  const std::string key = key_in(1, 0);
  Changes changes{{{key, "value", 1, Kind::value}}};
  device_->fail(block::Io::Kind::read, 1);
  EXPECT_EQ(apply(1, changes).code(), Code::io_error);
  images_.failure = Status(Code::io_error, "the log");
  EXPECT_EQ(apply(1, changes).code(), Code::io_error);
  EXPECT_EQ(look_up(key).version, 0u) << "a bucket was written whose image is not in the log";
  images_ = {};
  device_->fail(block::Io::Kind::write, 1);
  EXPECT_EQ(apply(1, changes).code(), Code::io_error);
  EXPECT_EQ(images_.not_in_place.size(), 1u) << "the image is still needed";
}

// A merge may have waited for a bucket until the write of it failed, and then reads what was there
// before.
TEST_F(BucketStoreTest, NothingIsBuiltOnAFailedWrite) {
  open(4);
  const std::string key = key_in(1, 0), other = key_in(1, 1);
  Changes first{{{key, "value", 1, Kind::value}}}, second{{{other, "value", 2, Kind::value}}};
  device_->fail(block::Io::Kind::write, 1);
  EXPECT_EQ(apply(1, first).code(), Code::io_error);
  const Bytes image = images_.last.at(1);
  EXPECT_EQ(apply(1, second).code(), Code::io_error);
  EXPECT_EQ(images_.last.at(1), image) << "without the first record";
}

}  // namespace
}  // namespace scalio::server
