#include "server/recovery_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "testing/colliding_keys.h"
#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

class RecoveryTableTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kAmple = 1 << 20;

  static NewestRecord write(const RecoveryTable& table, const std::string& key, std::uint64_t lsn,
                            std::uint64_t version) {
    NewestRecord r = table.of_key(key);
    r.lsn = lsn;
    r.version = version;
    return r;
  }
  static NewestRecord image(std::uint64_t bucket, std::uint64_t lsn, std::uint64_t checksum) {
    NewestRecord r;
    r.place = bucket;
    r.check = checksum;
    r.lsn = lsn;
    r.image = 1;
    return r;
  }

  const layout::SsdGeometry geometry_ = test_geometry(50, 512, 1 << 20);
};

TEST_F(RecoveryTableTest, TheNewestOfAKeyStays) {
  const auto made = RecoveryTable::create(geometry_, test_log_key(), kAmple);
  RecoveryTable& table = **made;
  table.clear();
  table.offer(write(table, "a", 100, 5));
  table.offer(write(table, "b", 200, 6));
  table.offer(write(table, "a", 300, 7));
  table.offer(write(table, "a", 400, 5));  // logged again, before it was known that 7 is there
  table.offer(write(table, "b", 500, 6));  // logged again, since it could not be merged
  const RecoveryTable::Sorted found = table.sort();
  ASSERT_EQ(found.keys.size(), 2u);
  std::map<std::uint64_t, std::uint64_t> versions;
  for (const NewestRecord& r : found.keys) versions[r.lsn] = r.version;
  EXPECT_EQ(versions, (std::map<std::uint64_t, std::uint64_t>{{300, 7}, {500, 6}}));
  EXPECT_FALSE(table.more());
}

TEST_F(RecoveryTableTest, TheLastImageOfABucketStays) {
  const auto made = RecoveryTable::create(geometry_, test_log_key(), kAmple);
  RecoveryTable& table = **made;
  table.clear();
  table.offer(image(3, 100, 77));
  table.offer(image(0, 200, 5));
  table.offer(image(3, 300, 5));
  const RecoveryTable::Sorted found = table.sort();
  ASSERT_EQ(found.images.size(), 2u);
  EXPECT_EQ(found.images[0].place, 0u);
  EXPECT_EQ(found.images[1].lsn, 300u);
  EXPECT_EQ(found.images[1].check, 5u);
}

TEST_F(RecoveryTableTest, KeysOfOneHashAreTwo) {
  const auto made = RecoveryTable::create(geometry_, test_log_key(), kAmple);
  RecoveryTable& table = **made;
  table.clear();
  for (std::uint64_t n = 0; n < 20; ++n) {
    const auto [a, b] = colliding_keys(geometry_.hash_seed, n);
    ASSERT_NE(a, b);
    ASSERT_EQ(hash_key(a, geometry_.hash_seed), hash_key(b, geometry_.hash_seed));
    table.offer(write(table, a, 2 * n + 1, 2 * n + 1));
    table.offer(write(table, b, 2 * n + 2, 2 * n + 2));
  }
  EXPECT_EQ(table.sort().keys.size(), 40u);
}

// In whatever memory, everything comes once, its newest record, and of buckets the last first: the
// image of a bucket no later than any key of it or of one before it.
TEST_F(RecoveryTableTest, WhatDoesNotFitComesInAnotherPass) {
  for (const std::uint64_t memory :
       {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{9999}, kAmple}) {
    SCOPED_TRACE(memory);
    const auto made = RecoveryTable::create(geometry_, test_log_key(), memory);
    RecoveryTable& table = **made;
    std::map<std::string, std::uint64_t> newest;  // by what it is of: the LSN
    std::vector<NewestRecord> log;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const std::uint64_t lsn = 64 * i + 64, n = mix(i) % 300;
      if (i % 3 == 0) {
        log.push_back(image(n % geometry_.all_buckets(), lsn, i));
        newest["bucket" + std::to_string(log.back().place)] = lsn;
      } else {
        log.push_back(write(table, "key" + std::to_string(n), lsn, i + 1));
        newest["key" + std::to_string(n)] = lsn;
      }
    }
    std::set<std::uint64_t> expected, met;
    for (const auto& [of, lsn] : newest) expected.insert(lsn);
    std::uint64_t passes = 0, lowest = ~0ULL;
    for (bool more = true; more; ++passes) {
      ASSERT_LT(passes, 2000u);
      if (passes > 0) table.begin_next_pass();
      table.clear();
      for (const NewestRecord& r : log) table.offer(r);
      const RecoveryTable::Sorted found = table.sort();
      EXPECT_LE(found.images.size() + found.keys.size(),
                std::max<std::uint64_t>(memory / sizeof(NewestRecord), RecoveryTable::kLeast));
      std::uint64_t low = lowest;
      for (const auto& records : {found.images, found.keys}) {
        for (std::size_t i = 0; i < records.size(); ++i) {
          const std::uint64_t bucket = table.bucket_of(records[i]);
          EXPECT_TRUE(i == 0 || table.bucket_of(records[i - 1]) <= bucket);
          EXPECT_LE(bucket, lowest);
          EXPECT_TRUE(records[i].image == 0 || bucket < lowest || lowest == ~0ULL);
          low = std::min(low, bucket);
          EXPECT_TRUE(met.insert(records[i].lsn).second);
        }
      }
      lowest = low;
      more = table.more();
      EXPECT_TRUE(more || table.covered() == 1.0);
    }
    EXPECT_EQ(met, expected);
    EXPECT_EQ(passes == 1, memory == kAmple);
  }
}

// All of one bucket, and of one hash.
TEST_F(RecoveryTableTest, ABucketThatDoesNotFitTakesPassesToo) {
  layout::SsdGeometry g = geometry_;
  g.buckets = 1;
  const auto made = RecoveryTable::create(g, test_log_key(), 0);
  RecoveryTable& table = **made;
  std::set<std::uint64_t> met;
  for (std::uint64_t passes = 0;; ++passes) {
    ASSERT_LT(passes, 40u);
    table.clear();
    table.offer(image(0, 1000, 1));
    for (std::uint64_t n = 0; n < 30; ++n) {
      const auto [a, b] = colliding_keys(g.hash_seed, n);
      table.offer(write(table, a, 2 * n + 1, 1));
      table.offer(write(table, b, 2 * n + 2, 2));
    }
    const RecoveryTable::Sorted found = table.sort();
    for (const NewestRecord& r : found.keys) EXPECT_TRUE(met.insert(r.lsn).second);
    // Before any of its keys.
    EXPECT_EQ(found.images.size(), passes == 0 ? 1u : 0u);
    if (!table.more()) break;
    table.begin_next_pass();
  }
  EXPECT_EQ(met.size(), 60u);
}

}  // namespace
}  // namespace scalio::server
