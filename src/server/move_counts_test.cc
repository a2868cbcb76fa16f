#include "server/move_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "block/buffer.h"

namespace scalio::server {
namespace {

using layout::MoveCount;

constexpr std::uint64_t kHomes = 10;

class MoveCountsTest : public testing::Test {
 protected:
  // What clients see: of each count how many moves have begun, and how many are under way.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen() {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (std::uint64_t i = 0; i < geometry_.move_counts; ++i) {
      const auto count =
          MoveCount::unpack(load<std::uint64_t>(region_.data() + geometry_.move_count_at(i)));
      all.emplace_back(count.begun, count.under_way);
    }
    return all;
  }

  const layout::RegionGeometry geometry_{.blocks = 1, .move_counts = 2};  // of homes 0 to 4, 5 to 9
  block::Buffer region_{geometry_.size()};
  MoveCounts counts_{geometry_, region_.span(), kHomes};
};

using ::testing::ElementsAre;
using ::testing::Pair;

TEST_F(MoveCountsTest, TellWhatHasBegunAndWhatIsUnderWay) {
  EXPECT_THAT(seen(), ElementsAre(Pair(0, 0), Pair(0, 0)));
  counts_.begin(4);
  EXPECT_THAT(seen(), ElementsAre(Pair(1, 1), Pair(0, 0)));
  counts_.begin(0);
  counts_.begin(5);
  EXPECT_THAT(seen(), ElementsAre(Pair(2, 2), Pair(1, 1)));
  counts_.end(4);
  EXPECT_THAT(seen(), ElementsAre(Pair(2, 1), Pair(1, 1)));
  counts_.end(0);
  counts_.end(5);
  EXPECT_THAT(seen(), ElementsAre(Pair(2, 0), Pair(1, 0)));
}

TEST_F(MoveCountsTest, WhatAClientStoresThereIsNotBelieved) {
  counts_.begin(1);
  store(region_.data() + geometry_.move_count_at(0), std::uint64_t{1} << 40);
  counts_.begin(2);
  EXPECT_THAT(seen(), ElementsAre(Pair(2, 2), Pair(0, 0)));
  counts_.mend(0);
  EXPECT_EQ(counts_.damaged(), 0U) << "it was replaced";
  store(region_.data() + geometry_.move_count_at(0), std::uint64_t{0});
  store(region_.data() + geometry_.move_count_at(1), ~std::uint64_t{0});
  counts_.mend(0);
  EXPECT_THAT(seen(), ElementsAre(Pair(2, 2), Pair(0, 0)));
  EXPECT_EQ(counts_.damaged(), 2U);
}

TEST_F(MoveCountsTest, AShardMayHaveNone) {
  const layout::RegionGeometry geometry{.blocks = 1};
  block::Buffer region(geometry.size());
  MoveCounts none(geometry, region.span(), kHomes);
  none.begin(3);
  none.end(3);
  none.mend(0);
  EXPECT_EQ(none.damaged(), 0U);
}

}  // namespace
}  // namespace scalio::server
