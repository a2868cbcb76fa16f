#include "server/full_places.h"

#include <gtest/gtest.h>

#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

constexpr std::uint64_t kReach = layout::SsdGeometry::kMaxReach;

class FullPlacesTest : public ::testing::Test {
 protected:
  // 4,096 homes in 64 blocks: 64 homes a block.
  std::uint64_t block_of_home(std::uint64_t home) const {
    return region_.block_of(ssd_.first_point_of(home));
  }

  const layout::SsdGeometry ssd_ = test_geometry(4096);
  const layout::RegionGeometry region_{.blocks = 64};
  FullPlaces full_{ssd_, region_};
};

TEST_F(FullPlacesTest, AMarkCoversTheBlocksOfHomesThatShareABucketWithIt) {
  for (std::uint64_t block = 0; block < region_.blocks; ++block) EXPECT_FALSE(full_.covers(block));
  constexpr std::uint64_t kFull = 1000;
  full_.mark(kFull);
  full_.mark(kFull);
  EXPECT_EQ(full_.count(), 1u);
  for (std::uint64_t home = 0; home < ssd_.buckets; ++home) {
    const std::uint64_t block = block_of_home(home);
    const bool shares =
        block_of_home(kFull - kReach) <= block && block <= block_of_home(kFull + kReach);
    EXPECT_EQ(full_.covers(block), shares) << home;
  }
}

TEST_F(FullPlacesTest, MarksAtBothEnds) {
  full_.mark(0);
  EXPECT_TRUE(full_.covers(0));
  EXPECT_FALSE(full_.covers(block_of_home(kReach) + 1));
  EXPECT_FALSE(full_.covers(63));
  full_.mark(ssd_.buckets - 1);
  EXPECT_TRUE(full_.covers(63));
  EXPECT_FALSE(full_.covers(block_of_home(ssd_.buckets - 1 - kReach) - 1));
}

TEST_F(FullPlacesTest, ARemovalClearsTheHomesThatCanUseItsRoom) {
  full_.mark(1000);
  full_.clear_near(1000 + kReach + 1);
  full_.clear_near(1000 - kReach - 1);
  EXPECT_EQ(full_.count(), 1u);
  full_.clear_near(1000 - kReach);
  EXPECT_EQ(full_.count(), 0u);
  full_.mark(1000);
  full_.clear_near(1000 + kReach);
  EXPECT_EQ(full_.count(), 0u);
  full_.mark(3);
  full_.clear_near(0);
  EXPECT_FALSE(full_.covers(0));
}

TEST_F(FullPlacesTest, TooManyMarksAreTheWholeShard) {
  for (std::uint64_t home = 0; home < 16; ++home) full_.mark(home);
  EXPECT_FALSE(full_.everywhere());
  EXPECT_FALSE(full_.covers(63));
  full_.mark(16);
  EXPECT_TRUE(full_.everywhere());
  EXPECT_TRUE(full_.covers(63));
  full_.clear_near(0);
  EXPECT_FALSE(full_.everywhere());
}

}  // namespace
}  // namespace scalio::server
