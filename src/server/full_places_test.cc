#include "server/full_places.h"

#include <gtest/gtest.h>

namespace scalio::server {
namespace {

constexpr std::uint64_t kReach = layout::SsdGeometry::kMaxReach;

TEST(FullPlacesTest, AMarkRefusesWhatIsAsLarge) {
  FullPlaces full;
  EXPECT_FALSE(full.refuses(1000, 90));
  full.mark(1000, 90);
  full.mark(1000, 100);
  EXPECT_EQ(full.count(), 1u);
  EXPECT_TRUE(full.refuses(1000, 90));
  EXPECT_TRUE(full.refuses(1000, 91));
  EXPECT_FALSE(full.refuses(1000, 89));
  EXPECT_FALSE(full.refuses(999, 90));
  EXPECT_FALSE(full.refuses(1001, 90));
}

TEST(FullPlacesTest, ARemovalClearsTheHomesThatCanUseItsRoom) {
  FullPlaces full;
  full.mark(1000, 90);
  full.clear_near(1000 + kReach + 1);
  full.clear_near(1000 - kReach - 1);
  EXPECT_EQ(full.count(), 1u);
  full.clear_near(1000 - kReach);
  EXPECT_EQ(full.count(), 0u);
  full.mark(1000, 90);
  full.clear_near(1000 + kReach);
  EXPECT_EQ(full.count(), 0u);
  full.mark(3, 90);
  full.clear_near(0);
  EXPECT_FALSE(full.refuses(3, 90));
}

TEST(FullPlacesTest, SoManyAreRemembered) {
  FullPlaces full;
  for (std::uint64_t home = 0; home < 2 * FullPlaces::kMost; ++home) full.mark(home, 90);
  EXPECT_EQ(full.count(), FullPlaces::kMost);
  EXPECT_TRUE(full.refuses(0, 90));
  EXPECT_FALSE(full.refuses(2 * FullPlaces::kMost - 1, 90));
}

}  // namespace
}  // namespace scalio::server
