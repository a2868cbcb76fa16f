#include "client/stretch_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "layout/superblock.h"
#include "testing/held_device.h"
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

  void start(std::uint64_t first, std::uint64_t end) {
    time_.spawn([](StretchReader& reader, std::uint64_t from, std::uint64_t to,
                   std::optional<Result<Stretch>>* out) -> Task<void> {
      out->emplace(co_await reader.read(from, to));
    }(reader_, first, end, &found_));
    time_.run_ready();
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
