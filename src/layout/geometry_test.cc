#include "layout/geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "layout/message.h"

namespace scalio::layout {
namespace {

constexpr int kKeys = 200'000;
constexpr std::uint64_t kSeed = 0x5eed;

std::uint64_t hash_of(int i) { return hash_key("user" + std::to_string(i), kSeed); }

// Chi-square over as many degrees of freedom as cells has a mean of cells and a deviation of sqrt(2
// cells). Six deviations off are no accident.
template <class F>
void expect_uniform(std::uint64_t cells, F cell_of) {
  std::vector<double> count(cells);
  for (int i = 0; i < kKeys; ++i) {
    const std::uint64_t cell = cell_of(hash_of(i));
    ASSERT_LT(cell, cells);
    ++count[cell];
  }
  const double expected = static_cast<double>(kKeys) / static_cast<double>(cells);
  double chi = 0;
  for (double c : count) chi += (c - expected) * (c - expected) / expected;
  const double n = static_cast<double>(cells);
  EXPECT_LT(chi, n + 6 * std::sqrt(2 * n));
}

TEST(Placement, IsUniform) {
  for (std::uint32_t shards : {1, 2, 4, 7, 36}) {
    // So many that the shards are level.
    const Placement p(shards, Placement::kMaxPartitions);
    expect_uniform(shards, [&](std::uint64_t hash) { return p.shard_of(hash); });
  }
  expect_uniform(64, [p = Placement(2, 64)](std::uint64_t hash) { return p.partition_of(hash); });
  SsdGeometry ssd;
  ssd.buckets = 1000;
  expect_uniform(1000, [&](std::uint64_t hash) { return ssd.home_bucket(hash); });
  RegionGeometry region;
  region.blocks = 777;
  expect_uniform(777, [&](std::uint64_t hash) { return region.block_of(hash); });
  expect_uniform(256, [](std::uint64_t hash) { return tag_of(hash) >> 24; });
}

TEST(Placement, OfANewStoreIsLevel) {
  EXPECT_EQ(usual_partitions(1), 4096u);
  EXPECT_EQ(usual_partitions(64), 4096u);
  EXPECT_EQ(usual_partitions(65), 8192u);
  EXPECT_EQ(usual_partitions(kMaxShards), Placement::kMaxPartitions);
}

// A shard sees only its own keys' hashes; their buckets and tags must not suffer from that choice.
TEST(Placement, IsUniformWithinAShardAndABlock) {
  constexpr std::uint64_t kBuckets = 64, kTags = 64;
  std::vector<double> buckets(kBuckets), tags(kTags);
  SsdGeometry ssd;
  ssd.buckets = kBuckets;
  RegionGeometry region;
  region.blocks = 8;
  double in_shard = 0, in_block = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::uint64_t hash = hash_of(i);
    const Placement placement(7, Placement::kMaxPartitions);
    const std::uint64_t point = placement.point_of(hash);
    if (placement.shard_of(hash) == 2) ++in_shard, ++buckets[ssd.home_bucket(point)];
    if (region.block_of(point) == 3) ++in_block, ++tags[tag_of(point) % kTags];
  }
  auto chi = [](const std::vector<double>& count, double total) {
    const double expected = total / static_cast<double>(count.size());
    double sum = 0;
    for (double c : count) sum += (c - expected) * (c - expected) / expected;
    return sum;
  };
  EXPECT_LT(chi(buckets, in_shard), 64 + 6 * std::sqrt(128.0));
  EXPECT_LT(chi(tags, in_block), 64 + 6 * std::sqrt(128.0));
}

// Placement is part of the format: another one would not find what is stored.
TEST(Placement, IsWhatItWas) {
  const std::uint64_t hash = hash_key("user1", 42);
  EXPECT_EQ(hash, 1840288614121344159U);
  const Placement placement(36, 4096);
  EXPECT_EQ(placement.partition_of(hash), 408U);
  EXPECT_EQ(placement.shard_of(hash), 3U);
  EXPECT_EQ(placement.point_of(hash), 10781014826599640487U);
  SsdGeometry ssd;
  ssd.buckets = 1'000'000;
  EXPECT_EQ(ssd.home_bucket(hash), 99762U);
  RegionGeometry region;
  region.blocks = 1'000'000;
  EXPECT_EQ(region.block_of(hash), 99762U);
  EXPECT_EQ(tag_of(hash), 2296777887U);
  ssd.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  ssd.shard = 3;
  EXPECT_EQ(ssd.store_id(), 15918849976982045448U);
}

// What a map of partitions to shards rests on.
TEST(Placement, APartitionIsARangeOfHashesInOneShardAndOfItsPoints) {
  for (const auto& [shards, partitions] :
       {std::pair{1U, 16U}, {1U, 4096U}, {2U, 64U}, {7U, 128U}, {36U, 4096U}, {4096U, 65536U}}) {
    const Placement p(shards, partitions);
    const std::uint64_t width = ~0ULL / partitions + 1;
    std::uint32_t shard = 0, in_shard = 0, fewest = partitions, most = 0;
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < partitions; ++i) {
      const std::uint64_t first = i * width;
      ASSERT_EQ(p.partition_of(first), i);
      ASSERT_EQ(p.partition_of(first + width - 1), i);
      ASSERT_EQ(p.shard_of(first), p.shard_of(first + width - 1));
      if (p.shard_of(first) != shard) {
        ASSERT_EQ(p.shard_of(first), ++shard);
        fewest = std::min(fewest, in_shard);
        most = std::max(most, in_shard);
        in_shard = 0;
      }
      if (in_shard == 0) {
        ASSERT_LT(p.point_of(first), 1U << 17) << "the first has the first points";
      } else {
        ASSERT_GT(p.point_of(first), last);
      }
      ++in_shard;
      ASSERT_GT(p.point_of(first + width / 2), p.point_of(first));
      last = p.point_of(first + width - 1);
      ASSERT_GT(last, p.point_of(first + width / 2));
    }
    ASSERT_EQ(shard, shards - 1);
    if (shards > 1) {
      EXPECT_LE(most - std::min(fewest, in_shard), 1U);
    }
  }
}

TEST(Placement, OfOneShardIsTheHashItself) {
  const Placement p(1, 4096);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(p.shard_of(hash_of(i)), 0U);
    EXPECT_EQ(p.point_of(hash_of(i)), hash_of(i));
  }
  EXPECT_EQ(p.point_of(~0ULL), ~0ULL);
}

TEST(Placement, KeepsTheEndsOfTheHashRange) {
  SsdGeometry ssd;
  for (std::uint64_t n : {1ULL, 2ULL, 3ULL, 1'000'003ULL, 1ULL << 40}) {
    ssd.buckets = n;
    EXPECT_EQ(ssd.home_bucket(0), 0U);
    EXPECT_EQ(ssd.home_bucket(~0ULL), n - 1);
  }
}

TEST(Placement, ABucketBeginsWithItsFirstHash) {
  SsdGeometry ssd;
  for (std::uint64_t n : {1ULL, 2ULL, 3ULL, 64ULL, 997ULL, 1'000'003ULL, (1ULL << 40) + 1}) {
    ssd.buckets = n;
    EXPECT_EQ(ssd.first_point_of(0), 0U);
    EXPECT_EQ(ssd.first_point_of(n), 0U) << "2^64, which is behind the last hash";
    for (std::uint64_t b = 1; b < n; b += 1 + n / 1000) {
      const std::uint64_t first = ssd.first_point_of(b);
      EXPECT_EQ(ssd.home_bucket(first), b) << "of " << n;
      EXPECT_EQ(ssd.home_bucket(first - 1), b - 1) << "of " << n;
    }
    EXPECT_EQ(ssd.home_bucket(ssd.first_point_of(n - 1)), n - 1);
  }
}

// Merging a bucket concerns few blocks, and emptying a block few buckets: both cover the hashes in
// order.
TEST(Placement, KeysOfOneBucketLieInAdjacentBlocks) {
  struct Case {
    std::uint64_t buckets, blocks;
  };
  for (const Case& c : {Case{1000, 250}, Case{1000, 1000}, Case{1000, 2500}, Case{997, 641}}) {
    SsdGeometry ssd;
    ssd.buckets = c.buckets;
    RegionGeometry region;
    region.blocks = c.blocks;
    std::vector<std::uint64_t> low(c.buckets, ~0ULL), high(c.buckets, 0);
    for (int i = 0; i < kKeys; ++i) {
      const std::uint64_t bucket = ssd.home_bucket(hash_of(i)), block = region.block_of(hash_of(i));
      low[bucket] = std::min(low[bucket], block);
      high[bucket] = std::max(high[bucket], block);
    }
    const std::uint64_t most = (c.blocks + c.buckets - 1) / c.buckets + 1;
    for (std::uint64_t b = 0; b < c.buckets; ++b) {
      ASSERT_NE(low[b], ~0ULL) << "no key in bucket " << b;
      EXPECT_LE(high[b] - low[b] + 1, most) << "bucket " << b;
      if (b > 0) {
        EXPECT_GE(low[b], high[b - 1]);
      }
    }
  }
}

TEST(Clock, CountsUnitsOf8Milliseconds) {
  EXPECT_EQ(clock_of((1 << 23) - 1), 0U);
  EXPECT_EQ(clock_of(1 << 23), 1U);
  EXPECT_EQ(clock_of((std::uint64_t{kClockRound} - 1) << 23), kClockRound - 1);
  EXPECT_EQ(clock_of(std::uint64_t{kClockRound} << 23), 0U);  // 413 days
}

TEST(Clock, TellsAges) {
  constexpr std::uint32_t kLast = kClockRound - 1;
  EXPECT_EQ(clock_age(100, 100), 0U);
  EXPECT_EQ(clock_age(100, 1), 99U);
  EXPECT_EQ(clock_age(1, kLast), 2U);  // it has gone round
  EXPECT_EQ(clock_age(kLast, 0), 0U);  // or `then` is a little ahead
  EXPECT_EQ(clock_age(100, 101), 0U);
  EXPECT_EQ(clock_age(100, 100'000'000), kClockRound + 100 - 100'000'000);
  EXPECT_EQ(clock_age(100, ~0U), clock_age(100, ~0U % kClockRound));  // anyone's bytes
}

TEST(StoreId, DiffersBetweenShardsAndStores) {
  SsdGeometry a;
  a.uuid[0] = 1;
  SsdGeometry other_shard = a;
  other_shard.shard = 1;
  SsdGeometry other_store = a;
  other_store.uuid[15] = 1;
  EXPECT_NE(a.store_id(), other_shard.store_id());
  EXPECT_NE(a.store_id(), other_store.store_id());
}

TEST(SsdGeometry, BucketsFollowEachOther) {
  SsdGeometry ssd;
  ssd.bucket_offset = 8192;
  ssd.bucket_size = 1024;
  ssd.buckets = 64;
  EXPECT_EQ(ssd.all_buckets(), 191U);
  EXPECT_EQ(ssd.bucket_at(0), 8192U);
  EXPECT_EQ(ssd.bucket_at(190), 8192U + 190 * 1024);
  EXPECT_DEATH(ssd.bucket_at(191), "bucket < all_buckets");
}

// The figures of the design: 16 B keys, 64 B values, 8 read and 2 write slots.
TEST(RegionGeometry, DefaultBlockHas1088Bytes) {
  RegionGeometry g;
  g.blocks = 10;
  EXPECT_EQ(g.read_word(7), 56U);
  EXPECT_EQ(g.write_words(), 64U);
  EXPECT_EQ(g.write_word(1), 72U);
  EXPECT_EQ(g.clock(0), 80U);
  EXPECT_EQ(g.clock(9), 116U);
  EXPECT_EQ(g.header_size(), 128U);
  EXPECT_EQ(g.body(0), 128U);
  EXPECT_EQ(g.body(9), 128U + 9 * 96);
  EXPECT_EQ(g.block_size(), 1088U);
  EXPECT_EQ(g.size(), 10880U);
  EXPECT_EQ(g.block_at(9), 9792U);
}

TEST(RegionGeometry, CountsOfMovesAreBehindItsBlocks) {
  RegionGeometry g;
  g.blocks = 10;
  g.base = 640;
  g.move_counts = 3;
  EXPECT_EQ(g.move_count_at(0), 640U + 10880);
  EXPECT_EQ(g.move_count_at(2), 640U + 10880 + 16);
  EXPECT_EQ(g.size(), 10880U + 24);
}

// Each home has one of them, and so have those beside it.
TEST(RegionGeometry, AdjacentHomesHaveACount) {
  RegionGeometry g;
  for (const std::uint32_t counts : {1U, 2U, 3U, 7U, 64U, RegionGeometry::kMaxMoveCounts}) {
    g.move_counts = counts;
    for (const std::uint64_t homes : {1ULL, 2ULL, 6ULL, 64ULL, 65ULL, 1000ULL}) {
      std::uint64_t last = 0;
      for (std::uint64_t home = 0; home < homes; ++home) {
        const std::uint64_t count = g.move_count_of(home, homes);
        ASSERT_LT(count, counts) << home << " of " << homes;
        ASSERT_TRUE(count == last || count == last + 1) << home << " of " << homes;
        last = count;
      }
    }
    EXPECT_LT(g.move_count_of((1ULL << 50) - 1, 1ULL << 50), counts);
  }
}

TEST(RegionGeometry, PartsOfABlockNeverOverlap) {
  for (std::uint32_t reads = 1; reads <= RegionGeometry::kMaxReadSlots; ++reads) {
    for (std::uint32_t writes = 1; writes <= RegionGeometry::kMaxWriteSlots; ++writes) {
      RegionGeometry g;
      g.read_slots = reads;
      g.write_slots = writes;
      EXPECT_LE(g.read_word(reads - 1) + 8, g.write_words());
      EXPECT_EQ(g.write_words() % RegionGeometry::kLine, 0U);
      EXPECT_EQ(g.write_word(writes - 1) + 8, g.clock(0));
      EXPECT_LE(g.clock(g.slots() - 1) + 4, g.header_size());
      EXPECT_EQ(g.header_size() % RegionGeometry::kLine, 0U);
      EXPECT_EQ(g.body(g.slots() - 1) + g.slot_size, g.block_size());
    }
  }
}

// What check() accepts works: the largest record goes through every place that it passes. What it
// refuses is refused with the number that is too large. Over the whole grid of buckets, inline
// limits and slots.
class Grid : public ::testing::Test {
 protected:
  static void expect_record_passes(const SsdGeometry& ssd) {
    const std::string value(ssd.inline_limit - 1, 'v');
    const RecordView record{"k", value, 1, Kind::value};
    Bytes slot(slot_size_for(ssd.inline_limit));
    ASSERT_LE(slot_bytes(record), slot.size());
    encode_slot(slot, record, 7);
    ASSERT_EQ(decode_slot(slot, 7)->value, value);

    Bytes page(ssd.bucket_size);
    Bucket bucket(page);
    bucket.clear(ssd.store_id());
    ASSERT_TRUE(bucket.fits(payload_size(record)));
    bucket.append(record);
    bucket.seal(0);

    Bytes buffer(max_batch(ssd)), image;
    BatchBuilder batch({}, ssd.store_id());
    batch.begin(buffer, 0);
    ASSERT_TRUE(batch.fits(BatchBuilder::record_size(1, value.size())));
    batch.add(LogKind::value, 1, "k", as_bytes(value));
    batch.finish(0, 1, 0, ssd.block_size);
    encode_image(image, {{0, page}, {1, page}, {2, page}});
    batch.begin(buffer, 0);
    ASSERT_TRUE(batch.fits(BatchBuilder::record_size(0, image.size())));
    ASSERT_GE(ssd.log_size, 16 * std::uint64_t{max_batch(ssd)});
    ASSERT_EQ(max_batch(ssd) % ssd.block_size, 0u);

    Bytes message;
    encode(message, Request{RequestKind::put, 1, 1, 0, "k", value});
    ASSERT_LE(message.size(), kMaxMessageSize);
  }
};

TEST_F(Grid, WhatIsAcceptedWorksAndTheRestIsRefusedWithItsNumbers) {
  int accepted = 0, refused = 0;
  for (std::uint32_t block = 256; block <= 8192; block *= 2) {
    for (std::uint32_t bucket = 512; bucket <= 33 << 10; bucket += bucket < 4096 ? 512 : 4096) {
      for (std::uint32_t limit :
           {1U, 2U, 240U, bucket / 2, bucket - 43, bucket - 42, bucket - 41}) {
        SsdGeometry base;
        base.block_size = block;
        base.bucket_size = bucket;
        base.inline_limit = limit;
        const bool good = block >= 512 && block <= 4096 && bucket % block == 0 && bucket <= 32768 &&
                          limit >= 2 && limit <= bucket - 42;
        auto ssd = plan_ssd(base, 64 << 20, min_log_size(base));
        ASSERT_EQ(ssd.ok(), good) << block << " " << bucket << " " << limit
                                  << ssd.status().to_string();
        if (!good) continue;
        expect_record_passes(*ssd);
        for (std::uint32_t reads = 0; reads <= RegionGeometry::kMaxReadSlots + 1; ++reads) {
          for (std::uint32_t writes = 0; writes <= RegionGeometry::kMaxWriteSlots + 1; ++writes) {
            const RegionGeometry region{1, reads, writes, slot_size_for(limit)};
            const Status s = check(region, *ssd);
            const bool slots = reads >= 1 && reads <= 16 && writes >= 1 && writes <= 8;
            ASSERT_EQ(s.ok(), slots && region.block_size() <= kMaxBlockSize) << s.to_string();
            ++(s.ok() ? accepted : refused);
            if (s.ok() || !slots) continue;
            for (std::uint32_t number :
                 {region.block_size(), kMaxBlockSize, reads, writes, limit}) {
              ASSERT_NE(s.message().find(std::to_string(number)), std::string::npos) << s.message();
            }
          }
        }
      }
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(RegionGeometry, AsManySlotsAsItSaysDoFit) {
  SsdGeometry base;
  base.bucket_size = 32768;
  base.inline_limit = 30'000;
  auto ssd = plan_ssd(base, 64 << 20, min_log_size(base));
  ASSERT_TRUE(ssd.ok());
  const Status s = check(RegionGeometry{1, 8, 2, slot_size_for(30'000)}, *ssd);
  EXPECT_NE(s.message().find("with 8 slots together"), std::string::npos) << s.message();
  EXPECT_TRUE(check(RegionGeometry{1, 6, 2, slot_size_for(30'000)}, *ssd).ok());
  EXPECT_FALSE(check(RegionGeometry{1, 7, 2, slot_size_for(30'000)}, *ssd).ok());
}

}  // namespace
}  // namespace scalio::layout
