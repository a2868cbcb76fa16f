#include "baseline/leed/leed_format.h"

#include <gtest/gtest.h>

#include <vector>

#include "baseline/leed/segment.h"
#include "testing/test_bytes.h"

namespace scalio::leed {
namespace {

using layout::hex;

constexpr LeedGeometry kGeometry = {100, 1000, 2000, 5};

TEST(LeedFormat, ABucketIsThese512Bytes) {
  Bytes bucket(kBlock);
  set_bucket_item(bucket, 0, {"key", 64, 0x112233445566});
  set_bucket_item(bucket, 15, {"twenty bytes, a key.", 1, 2});
  seal_bucket(bucket, {7, 3, 1, 0x10203040506, 0x10203040500}, kGeometry);
  EXPECT_EQ(hex(ByteView(bucket).first(6)), "070000000301");
  EXPECT_EQ(hex(ByteView(bucket).subspan(8, 8)), "0605040302010600");
  EXPECT_EQ(hex(ByteView(bucket).subspan(16, 31)),
            "036b65790000000000000000000000000000000000"
            "40000000"
            "665544332211");
  EXPECT_EQ(hex(ByteView(bucket).subspan(16 + 15 * 31, 31)),
            "147477656e74792062797465732c2061206b65792e"
            "01000000"
            "020000000000");
}

TEST(LeedFormat, ABucketIsReadAsItWasWritten) {
  Bytes bucket(kBlock);
  BucketPlace place;
  EXPECT_EQ(inspect_bucket(bucket, kGeometry, place), BucketIs::blank);
  EXPECT_TRUE(bucket_empty(bucket));
  set_bucket_item(bucket, 4, {"key", 64, 12});
  seal_bucket(bucket, {7, 3, 1, 5000, 4990}, kGeometry);
  ASSERT_EQ(inspect_bucket(bucket, kGeometry, place), BucketIs::intact);
  EXPECT_EQ(place.id, 7u);
  EXPECT_EQ(place.chain_length, 3u);
  EXPECT_EQ(place.chain_index, 1u);
  EXPECT_EQ(place.position, 5000u);
  EXPECT_EQ(place.head, 4990u);
  EXPECT_EQ(place.segment(), 4999u);
  EXPECT_EQ(find_bucket_item(bucket, "key"), 4u);
  EXPECT_EQ(find_bucket_item(bucket, "ke"), kBucketItems);
  EXPECT_EQ(find_bucket_item(bucket, ""), 0u);
  EXPECT_EQ(bucket_item(bucket, 4).place, 12u);
  EXPECT_FALSE(bucket_empty(bucket));
}

TEST(LeedFormat, AHeadThatIsFarIsRoundedDownAndNeverUp) {
  LeedGeometry large = kGeometry;
  large.bucket_blocks = 1 << 20;
  EXPECT_EQ(large.head_unit(), 17u);
  for (const std::uint64_t head : {3'000'000u, 2'999'999u, 2'999'984u, 2'000'000u}) {
    Bytes bucket(kBlock);
    seal_bucket(bucket, {7, 1, 0, 3'000'000, head}, large);
    BucketPlace place;
    ASSERT_EQ(inspect_bucket(bucket, large, place), BucketIs::intact);
    EXPECT_LE(place.head, head);
    EXPECT_GT(place.head + large.head_unit(), head);
  }
}

// 16 bits of check miss a few of many; what else is checked, none.
TEST(LeedFormat, AFlippedBitIsFound) {
  Bytes bucket(kBlock);
  set_bucket_item(bucket, 0, {"key", 64, 77});
  seal_bucket(bucket, {7, 3, 1, 5000, 4990}, kGeometry);
  BucketPlace place;
  int missed = 0;
  for (std::size_t bit = 0; bit < kBlock * 8; ++bit) {
    layout::flip(bucket, bit);
    if (inspect_bucket(bucket, kGeometry, place) == BucketIs::intact) ++missed;
    layout::flip(bucket, bit);
  }
  EXPECT_LE(missed, 2);
  LeedGeometry other = kGeometry;
  other.hash_seed = 6;
  EXPECT_EQ(inspect_bucket(bucket, other, place), BucketIs::damaged);
}

TEST(LeedFormat, ABlockOfIdsIsBoundToItsPlace) {
  Bytes block(kBlock);
  clear_id_block(block);
  EXPECT_EQ(block_id(block, 126 * 9 + 3), kNoId);
  set_block_id(block, 126 * 9 + 3, 41);
  seal_id_block(block, 9, kGeometry);
  EXPECT_EQ(block_id(block, 126 * 9 + 3), 41u);
  EXPECT_EQ(id_block_of(126 * 9 + 3), 9u);
  EXPECT_TRUE(id_block_intact(block, 9, kGeometry));
  EXPECT_FALSE(id_block_intact(block, 10, kGeometry));
  block[17] ^= std::byte{1};
  EXPECT_FALSE(id_block_intact(block, 9, kGeometry));
}

TEST(LeedFormat, TheSuperblockIsChecked) {
  Bytes block(kBlock);
  EXPECT_EQ(decode_superblock(block).code(), Code::invalid);
  encode_superblock(block, kGeometry);
  Result<LeedGeometry> read = decode_superblock(block);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, kGeometry);
  for (std::size_t bit = 0; bit < 40 * 8; ++bit) {
    layout::flip(block, bit);
    EXPECT_FALSE(decode_superblock(block).ok()) << bit;
    layout::flip(block, bit);
  }
  LeedGeometry senseless = kGeometry;
  senseless.ids = 0;
  encode_superblock(block, senseless);
  EXPECT_EQ(decode_superblock(block).code(), Code::invalid);
}

TEST(LeedFormat, AStoreFitsTheDeviceThatItIsMadeFor) {
  for (const std::uint64_t size : {1ULL << 20, (1ULL << 20) + 512, 1ULL << 24, 3'333'333'504ULL}) {
    for (const std::uint64_t records : {1ULL, 1000ULL, 1'000'000ULL}) {
      const LeedGeometry g = LeedGeometry::fit(size, records, 1);
      EXPECT_TRUE(g.check(size).ok()) << size << " " << g.check(size).to_string();
      EXPECT_LT(size - g.size(), 4 * kBlock);
      EXPECT_GE(g.id_blocks() * kIdsPerBlock, g.value_blocks * kUnitsPerBlock + kIdsPerBlock);
    }
  }
  EXPECT_EQ(LeedGeometry::fit(8192, 10, 1).check(8192).code(), Code::invalid);
}

TEST(LeedFormat, TheBucketLogHasAQuarterButIsReadAtEachStart) {
  constexpr std::uint64_t kGib = 1 << 30, kReal = 512'000'000'000;
  EXPECT_EQ(LeedGeometry::fit(4 * kGib + kSuperblockSize, 1000, 1).bucket_blocks, kGib / kBlock);
  EXPECT_EQ(LeedGeometry::fit(kReal, 1'000'000, 1).bucket_blocks, 8 * kGib / kBlock);
  // However many records there are, the log is twice the buckets.
  const LeedGeometry g = LeedGeometry::fit(kReal, 400'000'000, 1);
  EXPECT_EQ(g.bucket_blocks, 2 * g.ids);
  EXPECT_TRUE(g.check(kReal).ok());
}

TEST(LeedSegment, GrowsAndShrinksByBuckets) {
  IoBufferPool pool;
  Segment segment;
  EXPECT_TRUE(segment.absent());
  segment.start(pool);
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < kMaxChain * kBucketItems; ++i) {
    keys.push_back("key" + std::to_string(i));
    ASSERT_TRUE(segment.add(pool, {keys.back(), i, i}));
    ASSERT_EQ(segment.blocks(), i / kBucketItems + 1);
  }
  EXPECT_FALSE(segment.add(pool, {"one more", 1, 1}));
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(segment.item(*segment.find(keys[i])).place, i);
    segment.erase(*segment.find(keys[i]));
    ASSERT_FALSE(segment.find(keys[i]));
    const std::uint32_t left = static_cast<std::uint32_t>(keys.size()) - i - 1;
    ASSERT_EQ(segment.blocks(), std::max(1u, (left + kBucketItems - 1) / kBucketItems));
  }
  EXPECT_TRUE(bucket_empty(segment.bytes()));
}

}  // namespace
}  // namespace scalio::leed
