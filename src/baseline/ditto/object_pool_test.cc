#include "baseline/ditto/object_pool.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace scalio::ditto {
namespace {

constexpr std::uint64_t kUnits = kSegmentSize / kUnit;

TEST(ObjectPool, GivesASegmentOutInUnits) {
  ObjectPool pool(kUnits);
  EXPECT_FALSE(pool.take(1));
  pool.add_segment(4096);
  EXPECT_EQ(pool.free_units(), kUnits);
  for (std::uint64_t i = 0; i < kUnits; ++i) EXPECT_EQ(pool.take(1), 4096 + i * kUnit);
  EXPECT_FALSE(pool.take(1));
  pool.give(4096, 1);
  pool.give(4096 + kUnit, 1);
  EXPECT_EQ(pool.take(1), 4096U);  // what has been free the longest
}

TEST(ObjectPool, CutsWhatIsLargerAndLosesNothing) {
  ObjectPool pool(2 * kUnits);
  pool.add_segment(0);
  std::map<std::uint64_t, std::uint32_t> taken;  // by place
  std::uint64_t taken_units = 0;
  Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    if (i == 500) pool.add_segment(kSegmentSize);
    if (!taken.empty() && random.below(5) < 2) {
      const auto it = taken.lower_bound(random.below(2 * kSegmentSize));
      if (it == taken.end()) continue;
      pool.give(it->first, it->second);
      taken_units -= it->second;
      taken.erase(it);
    } else {
      const auto units = static_cast<std::uint32_t>(random.between(1, kMaxUnits));
      const auto place = pool.take(units);
      if (!place) continue;
      const auto after = taken.lower_bound(*place);
      if (after != taken.end()) {
        EXPECT_GE(after->first, *place + units * kUnit);
      }
      if (after != taken.begin()) {
        EXPECT_LE(std::prev(after)->first + std::prev(after)->second * kUnit, *place);
      }
      taken.emplace(*place, units);
      taken_units += units;
    }
    EXPECT_EQ(pool.free_units() + taken_units, i < 500 ? kUnits : 2 * kUnits);
  }
}

TEST(ObjectPool, HoldsNoMoreThanThereIs) {
  ObjectPool pool(kUnits);
  pool.add_segment(0);
  pool.add_segment(0);
  pool.give(0, 1);
  EXPECT_EQ(pool.free_units(), kUnits);
}

}  // namespace
}  // namespace scalio::ditto
