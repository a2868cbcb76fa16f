#include "store/log_position.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace scalio::storage {
namespace {

constexpr std::uint64_t kLogSize = 1 << 20, kSpacing = kLogSize / 4096;

TEST(BatchStartsTest, KnowsTheLastOneNotBehind) {
  layout::SsdGeometry geometry;
  geometry.log_size = kLogSize;
  BatchStarts starts(geometry);
  EXPECT_EQ(starts.last_before(1), 0U);
  std::vector<std::uint64_t> model;
  Random random(1);
  std::uint64_t lsn = 1;
  for (int i = 0; i < 5000; ++i) {
    lsn += kSpacing * (1 + random.below(3));
    starts.add(lsn);
    model.push_back(lsn);
    const std::uint64_t asked =
        model.front() - 1 + random.below(lsn - model.front() + 2 * kSpacing);
    const auto next = std::ranges::upper_bound(model, asked);
    ASSERT_EQ(starts.last_before(asked), next == model.begin() ? 0 : *(next - 1));
    if (random.below(4) == 0) {
      starts.drop_before(asked);
      model.erase(model.begin(), std::ranges::lower_bound(model, asked));
      if (model.empty()) {
        starts.add(lsn += kSpacing);
        model.push_back(lsn);
      }
    }
  }
}

TEST(BatchStartsTest, ThoseCloseTogetherAreOne) {
  layout::SsdGeometry geometry;
  geometry.log_size = kLogSize;
  BatchStarts starts(geometry);
  starts.add(1000);
  starts.add(1000 + kSpacing - 1);
  EXPECT_EQ(starts.last_before(5000), 1000U);
  starts.add(1000 + kSpacing);
  EXPECT_EQ(starts.last_before(5000), 1000 + kSpacing);
}

}  // namespace
}  // namespace scalio::storage
