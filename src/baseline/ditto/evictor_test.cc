#include "baseline/ditto/evictor.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "testing/local_connection.h"
#include "testing/virtual_time.h"

namespace scalio::ditto {
namespace {

// Which slot of a full bucket goes: nothing is read for it.
class VictimsTest : public testing::Test {
 protected:
  static constexpr DittoGeometry kGeometry{.buckets = 100, .segments = 1};

  void object(std::uint32_t slot, std::uint64_t last_used, std::uint64_t frequency = 1) {
    put(slot, SlotWord::object(1, 2, kGeometry.data_at() + slot * kUnit).pack(),
        {.last_used = last_used, .frequency = frequency});
  }
  void entry(std::uint32_t slot, std::uint64_t number) {
    put(slot, SlotWord::history(1, number).pack(), {});
  }
  void put(std::uint32_t slot, std::uint64_t word, const SlotMetadata& metadata) {
    store(bucket.bytes().data() + slot * kSlotSize, word);
    store(bucket.bytes().data() + slot * kSlotSize + kMetadataAt, metadata);
  }
  std::vector<int> victims(EvictionPolicy policy, ExpertValues weights = {0.5, 0.5}) {
    Evictor evictor(link, policy, weights, 1);
    const SlotList list = evictor.victims(bucket, kHead);
    return {list.slots.begin(), list.slots.begin() + list.count};
  }
  // Of many draws.
  std::set<int> drawn(EvictionPolicy policy) {
    std::set<int> slots;
    Evictor evictor(link, policy, {0.5, 0.5}, 1);
    for (int i = 0; i < 200; ++i) {
      const SlotList list = evictor.victims(bucket, kHead);
      EXPECT_EQ(list.count, 1U);
      slots.insert(list.slots[0]);
    }
    return slots;
  }

  static constexpr std::uint64_t kHead = 1000;
  VirtualTime time;
  Bytes region = Bytes(kGeometry.size());
  fabric::LocalConnection connection{time, region, {}};
  DittoLink link{connection, {kGeometry, 0, {}}};
  BucketSnapshot bucket{kGeometry};
};

TEST_F(VictimsTest, AreTheLeastRecentlyUsedFirst) {
  for (std::uint32_t i = 0; i < kSlots; ++i) object(i, 100 + i * 5 % 8);
  EXPECT_EQ(victims(EvictionPolicy::lru), (std::vector<int>{0, 5, 2, 7, 4, 1, 6, 3}));
}

TEST_F(VictimsTest, AreAnyFreeSlotIfThereIsOne) {
  for (std::uint32_t i = 0; i < kSlots; ++i) object(i, 100 + i);
  put(2, 0, {});
  put(6, SlotWord::object(1, 2, 8).pack(), {});  // names no place in the data
  entry(7, kHead - 1);
  EXPECT_EQ(drawn(EvictionPolicy::adaptive), (std::set<int>{2, 6}));
  EXPECT_EQ(drawn(EvictionPolicy::lru), (std::set<int>{2, 6, 7}));
}

TEST_F(VictimsTest, AreInTheOrderOfTheBetterExpert) {
  for (std::uint32_t i = 0; i < kSlots; ++i) object(i, 100 + i, i < 4 ? 9 - i : 1);
  EXPECT_EQ(victims(EvictionPolicy::adaptive, {0.6, 0.4}),
            (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(victims(EvictionPolicy::adaptive, {0.4, 0.6}),
            (std::vector<int>{4, 5, 6, 7, 3, 2, 1, 0}));
}

TEST_F(VictimsTest, AreTheOldestOfTheHistoryOnceItHasHalfOfTheBucket) {
  for (std::uint32_t i = 0; i < kSlots; ++i) object(i, 100 + i);
  entry(1, kHead - 3);
  entry(4, kHead - 90);
  entry(6, kHead - 50);
  EXPECT_EQ(victims(EvictionPolicy::adaptive), (std::vector<int>{0, 2, 3, 5, 7}));
  entry(2, kHead - 60);
  EXPECT_EQ(victims(EvictionPolicy::adaptive), (std::vector<int>{4, 2, 6, 1, 0, 3, 5, 7}));
}

TEST_F(VictimsTest, AreEntriesThatCountNoMore) {
  for (std::uint32_t i = 0; i < kSlots; ++i) object(i, 100 + i);
  entry(3, kHead - kGeometry.history_size() + 1);
  EXPECT_EQ(victims(EvictionPolicy::adaptive).size(), 7U);
  entry(3, kHead - kGeometry.history_size());
  EXPECT_EQ(victims(EvictionPolicy::adaptive), (std::vector<int>{3}));
}

}  // namespace
}  // namespace scalio::ditto
