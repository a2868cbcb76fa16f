#include "client/bucket_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "layout/superblock.h"
#include "testing/held_device.h"
#include "testing/loops.h"

namespace scalio::client {
namespace {

using block::HeldDevice;
using layout::kSuperblockSize;
using layout::SsdGeometry;

SsdGeometry geometry_of_store(std::uint8_t store) {
  SsdGeometry g;
  g.uuid.fill(store);
  auto planned = layout::plan_ssd(g, 1 << 20, 64 << 10);
  EXPECT_TRUE(planned.ok()) << planned.status().to_string();
  return *planned;
}

class BucketReaderTest : public testing::Test {
 protected:
  BucketReaderTest() { put_superblocks(geometry_); }

  void put_superblocks(const SsdGeometry& g) {
    for (const std::uint64_t at : {std::uint64_t{0}, g.device_size - kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(device_.contents).subspan(at, kSuperblockSize), g);
    }
  }
  std::uint64_t home_of(const std::string& key) const {
    return geometry_.home_bucket(hash_key(key, geometry_.hash_seed));
  }
  layout::Bucket bucket_at(std::uint64_t number) {
    return layout::Bucket(
        ByteSpan(device_.contents).subspan(geometry_.bucket_at(number), geometry_.bucket_size));
  }
  void put_record(const std::string& key) {
    layout::Bucket bucket = bucket_at(home_of(key));
    bucket.clear(geometry_.store_id());
    bucket.append({key, "value", 1, layout::Kind::value});
    bucket.seal(home_of(key));
  }

  struct Search {
    std::optional<Result<std::optional<StoredRecord>>> found;
    // Nothing: not found.
    Code code() const { return found->ok() && !**found ? Code::not_found : found->code(); }
  };
  void start(const std::string& key, Search& search) {
    loop_->spawn(
        [](BucketReader& reader, std::string k, std::uint64_t hash, Search* out) -> Task<void> {
          out->found.emplace(co_await reader.find(k, hash));
        }(reader_, key, hash_key(key, geometry_.hash_seed), &search));
  }
  // Lets every read end at once.
  void finish(const Search& search) {
    turn_until(*loop_, [&] {
      while (!device_.held.empty()) device_.end_oldest();
      return search.found.has_value();
    });
  }
  Code find(const std::string& key) {
    Search search;
    start(key, search);
    finish(search);
    return search.code();
  }
  void turn() {
    for (int i = 0; i < 4; ++i) loop_->turn(false);
  }

  const SsdGeometry geometry_ = geometry_of_store(1);
  const LoopPtr loop_ = make_loop();
  HeldDevice device_{*loop_, 1 << 20};
  BucketReader reader_{*loop_, device_, geometry_};
};

TEST_F(BucketReaderTest, NeverWrittenIsAbsentOnThisSsdOnly) {
  put_record("there");
  EXPECT_EQ(find("there"), Code::ok);
  EXPECT_EQ(find("absent"), Code::not_found);
  // One copy of the superblock is enough.
  std::fill_n(device_.contents.begin(), kSuperblockSize, std::byte{0});
  EXPECT_EQ(find("absent"), Code::not_found);
  // Of a device that has grown, too.
  device_.contents.resize(2 * device_.contents.size());
  EXPECT_EQ(find("absent"), Code::not_found);
  // A blank device.
  std::ranges::fill(device_.contents, std::byte{0});
  EXPECT_EQ(find("there"), Code::invalid);
}

TEST_F(BucketReaderTest, AnotherStoresBucketsAreNotAbsence) {
  const SsdGeometry other = geometry_of_store(2);
  put_superblocks(other);
  layout::Bucket bucket = bucket_at(home_of("there"));
  bucket.clear(other.store_id());
  bucket.append({"there", "theirs", 1, layout::Kind::value});
  bucket.seal(home_of("there"));
  EXPECT_EQ(find("there"), Code::invalid);
}

TEST_F(BucketReaderTest, AnotherShardsSsdIsNotThisOne) {
  SsdGeometry other = geometry_;
  other.shards = 2;
  other.shard = 1;
  put_superblocks(other);
  EXPECT_EQ(find("there"), Code::invalid);
}

TEST_F(BucketReaderTest, DamagedSuperblocksProveNothing) {
  device_.contents[100] ^= std::byte{1};
  device_.contents[geometry_.device_size - 100] ^= std::byte{1};
  EXPECT_EQ(find("absent"), Code::corrupt);
}

// Its records are read without a look at the superblock, and so is the absence of others in it.
TEST_F(BucketReaderTest, AWrittenBucketNeedsNoSuperblock) {
  put_record("there");
  std::fill_n(device_.contents.begin(), kSuperblockSize, std::byte{0});
  std::fill_n(device_.contents.begin() +
                  static_cast<std::ptrdiff_t>(geometry_.device_size - kSuperblockSize),
              kSuperblockSize, std::byte{0});
  EXPECT_EQ(find("there"), Code::ok);
  EXPECT_EQ(device_.counters().reads, 1U);
}

// The superblock is read after the bucket: what was read before says nothing about it.
TEST_F(BucketReaderTest, ACheckThatBeganBeforeTheBucketWasReadDoesNotCount) {
  Search first, second;
  start("a", first);
  start("b", second);
  turn();
  ASSERT_EQ(device_.held.size(), 2U);
  device_.end_oldest();
  turn();
  ASSERT_EQ(device_.held.size(), 2U);  // b's bucket, and the superblock for a
  std::ranges::swap(device_.held[0], device_.held[1]);
  ASSERT_EQ(device_.held.front()->size, kSuperblockSize);
  const Bytes right = device_.contents;
  std::ranges::fill(device_.contents, std::byte{0});
  std::ranges::swap(device_.held[0], device_.held[1]);
  device_.end_oldest();  // b's bucket, of a blank device
  turn();
  device_.contents = right;
  device_.end_oldest();  // the superblock for a, which began before that
  turn();
  ASSERT_TRUE(first.found.has_value());
  EXPECT_EQ(first.code(), Code::not_found);
  EXPECT_FALSE(second.found.has_value());
  std::ranges::fill(device_.contents, std::byte{0});
  finish(second);
  EXPECT_EQ(second.code(), Code::invalid);
}

TEST_F(BucketReaderTest, OneCheckServesAllThatWait) {
  constexpr std::size_t kSearches = 100;
  std::vector<Search> searches(kSearches);
  for (std::size_t i = 0; i < kSearches; ++i) start("absent-" + std::to_string(i), searches[i]);
  for (const Search& search : searches) finish(search);
  for (const Search& search : searches) EXPECT_EQ(search.code(), Code::not_found);
  EXPECT_LE(device_.counters().reads, kSearches + 2);
}

// Between two reads of one search the device became another one.
TEST_F(BucketReaderTest, AHomeThatIsForeignWhenItIsReadAgainIsNotSearched) {
  const std::uint64_t home = home_of("key");
  for (const std::uint64_t number : {home, home + 1}) {
    layout::Bucket bucket = bucket_at(number);
    bucket.clear(geometry_.store_id());
    if (number == home) bucket.set_reach(1);
    bucket.seal(number);
  }
  Search search;
  start("key", search);
  for (int i = 0; i < 2; ++i) {
    turn();
    ASSERT_EQ(device_.held.size(), 1U);
    device_.end_oldest();
  }
  // Counts and lengths that lead far beyond a bucket.
  std::ranges::fill(device_.contents, std::byte{0xff});
  finish(search);
  EXPECT_EQ(search.code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::client
