#include "client/stretch_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "layout/superblock.h"
#include "testing/held_device.h"
#include "testing/local_connection.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using layout::Bucket;
using layout::kSuperblockSize;
using layout::SsdGeometry;
using Records = std::multimap<std::string, std::string>;

constexpr std::uint64_t kSize = 1 << 20;

SsdGeometry geometry_of_ssd() {
  SsdGeometry g;
  g.uuid.fill(1);
  auto planned = layout::plan_ssd(g, kSize, 64 << 10);
  SCALIO_ASSERT(planned.ok());
  return *planned;
}

class StretchReaderTest : public testing::Test {
 protected:
  StretchReaderTest() {
    for (const std::uint64_t at : {std::uint64_t{0}, geometry_.device_size - kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(device_.contents).subspan(at, kSuperblockSize), geometry_);
    }
    link_.hello.ssd = geometry_;
    link_.hello.region = {.blocks = 1, .move_counts = layout::RegionGeometry::kMaxMoveCounts};
    region_ = Bytes(link_.hello.region.size());
    link_.connection = std::make_shared<fabric::LocalConnection>(time_, region_, Bytes());
  }

  // The n-th key whose home is this bucket.
  std::string key_in(std::uint64_t home, int n = 0) const {
    for (int i = 0;; ++i) {
      const std::string key = "key-" + std::to_string(i);
      if (geometry_.home_bucket(geometry_.point_of(key)) == home && n-- == 0) return key;
    }
  }
  // Writes a bucket with these records, by key: the values.
  void write(std::uint64_t number, const std::map<std::string, std::string>& records,
             std::uint32_t reach = 0, int moves = 0) {
    Bucket bucket(
        ByteSpan(device_.contents).subspan(geometry_.bucket_at(number), geometry_.bucket_size));
    bucket.clear(geometry_.store_id());
    for (const auto& [key, value] : records) bucket.append({key, value, 1});
    bucket.set_reach(reach);
    for (int i = 0; i < moves; ++i) bucket.count_move();
    bucket.seal(number);
  }

  void start(std::uint64_t first, std::uint64_t end, MoveWatch* moves = nullptr) {
    time_.spawn([](StretchReader& reader, std::uint64_t from, std::uint64_t to, MoveWatch* watch,
                   std::optional<Result<Stretch>>* out) -> Task<void> {
      if (watch != nullptr) co_await watch->begin();
      out->emplace(co_await reader.read(from, to, watch));
    }(reader_, first, end, moves, &found_));
    time_.run_ready();
  }
  // The same of a server that tells how many records have moved: of each home by itself.
  void start_watched(std::uint64_t first, std::uint64_t end) {
    watch_.emplace(link_, first, end, counters_);
    start(first, end, &*watch_);
  }
  void tell(std::uint64_t home, layout::MoveCount moves) {
    const layout::RegionGeometry& region = link_.hello.region;
    store(region_.data() + region.move_count_at(region.move_count_of(home, geometry_.buckets)),
          moves.pack());
  }
  // The oldest read ends, which must be one of this bucket, or begin there.
  void end_read_of(std::uint64_t number) {
    ASSERT_FALSE(device_.held.empty());
    EXPECT_EQ(device_.held.front()->offset, geometry_.bucket_at(number));
    device_.end_oldest();
    time_.run_ready();
  }
  void finish() {
    while (!found_) {
      while (!device_.held.empty()) device_.end_oldest();
      time_.run_until(time_.now() + kMillisecond);
    }
  }
  Records records() const {
    Records all;
    for (const layout::RecordView& r : (*found_)->records) all.emplace(r.key, r.value);
    return all;
  }

  const SsdGeometry geometry_ = geometry_of_ssd();
  VirtualTime time_;
  block::HeldDevice device_{time_, kSize};
  BucketReader buckets_{time_, device_, geometry_};
  StretchReader reader_{time_, buckets_};
  std::optional<Result<Stretch>> found_;
  Bytes region_;
  ShardConnection link_;
  ClientCounters counters_;
  std::optional<MoveWatch> watch_;
};

TEST_F(StretchReaderTest, FindsTheRecordsOfItsHomesByOneRead) {
  write(3, {{key_in(3), "outside"}});
  write(4, {{key_in(4), "a"}, {key_in(4, 1), "b"}});
  write(5, {{key_in(3, 1), "a neighbour's"}, {key_in(5), "c"}});
  write(6, {{key_in(6), "outside"}});
  start(4, 6);
  finish();
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), (Records{{key_in(4), "a"}, {key_in(4, 1), "b"}, {key_in(5), "c"}}));
  EXPECT_EQ(device_.counters().reads, 1U);
}

// Up to the last home, and what has spilled behind it.
TEST_F(StretchReaderTest, WhatHasSpilledIsFoundInItsHomesStretch) {
  const std::uint64_t last = geometry_.buckets - 1;
  write(last, {{key_in(last), "home"}}, 2);
  write(last + 2, {{key_in(last, 1), "spilled"}});
  start(last, geometry_.buckets);
  finish();
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), (Records{{key_in(last), "home"}, {key_in(last, 1), "spilled"}}));
}

// Of what is in two places while it moves, the newer.
TEST_F(StretchReaderTest, ARecordInTwoBucketsIsFoundOnce) {
  write(4, {{key_in(4), "old"}}, 1);
  Bucket next(ByteSpan(device_.contents).subspan(geometry_.bucket_at(5), geometry_.bucket_size));
  next.clear(geometry_.store_id());
  next.append({key_in(4), "new", 2});
  next.seal(5);
  start(4, 6);
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), (Records{{key_in(4), "new"}}));
}

// Rule 13. The record moves to the home, which has been read, from the bucket behind it, which has
// not.
TEST_F(StretchReaderTest, ARecordThatMovesHomeMeanwhileIsFound) {
  write(4, {}, 1, 7);
  write(5, {{key_in(4), "value"}});
  start(4, 5);
  end_read_of(4);
  write(4, {{key_in(4), "value"}}, 0, 8);
  write(5, {});
  end_read_of(5);
  end_read_of(4);  // which has changed
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), (Records{{key_in(4), "value"}}));
}

// Rule 13. The record moves from the home to the bucket behind it. A read of both that takes that
// one before and the home after would find it in neither.
TEST_F(StretchReaderTest, TheReachIsReadByReadsThatBeginAfterTheHomes) {
  write(4, {}, 1);
  write(5, {{key_in(4), "value"}});
  write(6, {}, 1);
  start(4, 7);
  ASSERT_EQ(device_.held.size(), 1U);
  end_read_of(4);
  ASSERT_EQ(device_.held.size(), 2U);  // of both homes' reaches
  EXPECT_EQ(device_.held[0]->offset, geometry_.bucket_at(5));
  EXPECT_EQ(device_.held[0]->size, geometry_.bucket_size);
  end_read_of(5);
  ASSERT_EQ(device_.held.size(), 2U);
  EXPECT_EQ(device_.held[1]->offset, geometry_.bucket_at(4));
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), (Records{{key_in(4), "value"}}));
}

// Rule 13: where no record has moved meanwhile, one read has all.
TEST_F(StretchReaderTest, HomesThatStayedStillAreTakenFromOneRead) {
  write(4, {{key_in(4), "a"}}, 2);
  write(5, {{key_in(5), "b"}, {key_in(4, 1), "c"}}, 1);
  write(6, {{key_in(4, 2), "d"}, {key_in(5, 1), "e"}});
  tell(4, {7, 0});
  start_watched(4, 7);
  end_read_of(4);
  ASSERT_TRUE(found_.has_value());
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), (Records{{key_in(4), "a"},
                                {key_in(4, 1), "c"},
                                {key_in(4, 2), "d"},
                                {key_in(5), "b"},
                                {key_in(5, 1), "e"}}));
  EXPECT_EQ(device_.counters().reads, 1U);
  EXPECT_EQ((*found_)->taken_at_once, 2U);
  EXPECT_EQ((*found_)->read_again, 0U);
}

// What is behind the last bucket is read by one more read.
TEST_F(StretchReaderTest, WhatHasSpilledBehindTheStretchIsReadOnce) {
  const std::uint64_t last = geometry_.buckets - 1;
  write(last - 1, {{key_in(last - 1), "a"}}, 1);
  write(last, {{key_in(last), "b"}, {key_in(last - 1, 1), "c"}}, 3);
  write(last + 3, {{key_in(last, 1), "d"}});
  start_watched(last - 1, geometry_.buckets);
  end_read_of(last - 1);
  ASSERT_EQ(device_.held.size(), 1U);
  EXPECT_EQ(device_.held[0]->size, 3U * geometry_.bucket_size);
  end_read_of(last + 1);
  ASSERT_FALSE(device_.held.empty()) << "some were never written: the superblock is read";
  finish();
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), (Records{{key_in(last - 1), "a"},
                                {key_in(last - 1, 1), "c"},
                                {key_in(last), "b"},
                                {key_in(last, 1), "d"}}));
  EXPECT_EQ(device_.counters().reads, 3U);
  EXPECT_EQ((*found_)->taken_at_once, 2U);
}

// A record that moves home between the reads of the two buckets was in neither.
TEST_F(StretchReaderTest, AHomeWithAMoveThatHasBegunIsReadAgain) {
  write(4, {}, 1, 7);
  write(5, {{key_in(5), "other"}}, 1);
  write(6, {{key_in(5, 1), "still"}});
  start_watched(4, 7);
  tell(4, {1, 1});
  end_read_of(4);
  write(4, {{key_in(4), "value"}}, 0, 8);
  tell(4, {1, 0});
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(),
            (Records{{key_in(4), "value"}, {key_in(5), "other"}, {key_in(5, 1), "still"}}));
  EXPECT_EQ((*found_)->taken_at_once, 1U);
  EXPECT_EQ((*found_)->read_again, 1U);
}

TEST_F(StretchReaderTest, AHomeWithAMoveUnderWayIsReadAgain) {
  write(4, {}, 1, 7);
  write(5, {});
  tell(4, {3, 1});
  start_watched(4, 6);
  tell(4, {3, 0});
  end_read_of(4);
  write(4, {{key_in(4), "value"}}, 0, 8);
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), (Records{{key_in(4), "value"}}));
  EXPECT_EQ((*found_)->taken_at_once, 0U);
  EXPECT_EQ((*found_)->read_again, 1U);
}

TEST_F(StretchReaderTest, ABucketThatIsBeingWrittenIsReadAgain) {
  write(4, {{key_in(4), "value"}});
  write(5, {{key_in(5), "value"}});
  std::byte& torn = device_.contents[geometry_.bucket_at(5) + 40];
  torn ^= std::byte{1};
  start(4, 6);
  end_read_of(4);
  torn ^= std::byte{1};
  end_read_of(5);
  ASSERT_TRUE(found_.has_value());
  EXPECT_EQ(records().size(), 2U);
}

TEST_F(StretchReaderTest, ADamagedBucketIsNamed) {
  write(4, {{key_in(4), "value"}});
  device_.contents[geometry_.bucket_at(4) + 40] ^= std::byte{1};
  start(3, 6);
  finish();
  EXPECT_EQ(found_->code(), Code::corrupt);
  EXPECT_THAT(found_->status().message(), ::testing::HasSubstr("bucket 4"));
}

// Rule 12.
TEST_F(StretchReaderTest, NeverWrittenIsEmptyOnThisSsdOnly) {
  start(0, 9);
  finish();
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), Records());
  EXPECT_EQ(device_.counters().reads, 2U);  // the stretch, and the superblock
  std::ranges::fill(device_.contents, std::byte{0});
  found_.reset();
  start(0, 9);
  finish();
  EXPECT_EQ(found_->code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::client
