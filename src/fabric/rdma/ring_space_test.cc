#include "fabric/rdma/ring_space.h"

#include <gtest/gtest.h>

#include <random>

namespace scalio::fabric {
namespace {

TEST(RingSpace, GivesTheWholeWhenNothingIsTaken) {
  RingSpace ring(1024);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ring.take(1000), 0U);
    EXPECT_FALSE(ring.take(1));
    ring.give_back();
  }
}

TEST(RingSpace, GoesRound) {
  RingSpace ring(256);
  EXPECT_EQ(ring.take(128), 0U);
  EXPECT_EQ(ring.take(1), 128U);
  EXPECT_FALSE(ring.take(128));  // 64 are left at the end
  ring.give_back();
  EXPECT_EQ(ring.take(128), 0U);
  EXPECT_FALSE(ring.take(1));  // up to the piece at 128
  ring.give_back();
  EXPECT_EQ(ring.take(128), 128U);
  EXPECT_FALSE(ring.take(1));
}

// Against a map of what is taken.
TEST(RingSpace, PiecesNeverOverlap) {
  constexpr std::size_t kSize = 4096;
  RingSpace ring(kSize);
  std::vector<bool> used(kSize);
  std::deque<std::pair<std::size_t, std::size_t>> pieces;
  std::mt19937 random(1);
  std::size_t taken = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::size_t bytes = 1 + random() % (i % 7 == 0 ? kSize : 300);
    if (const auto at = ring.take(bytes)) {
      ASSERT_LE(*at + bytes, kSize);
      ASSERT_EQ(*at % RingSpace::kUnit, 0U);
      for (std::size_t b = *at; b < *at + bytes; ++b) {
        ASSERT_FALSE(used[b]);
        used[b] = true;
      }
      pieces.emplace_back(*at, bytes);
      ++taken;
    } else {
      ASSERT_FALSE(pieces.empty());
      const auto [from, size] = pieces.front();
      pieces.pop_front();
      std::fill_n(used.begin() + static_cast<std::ptrdiff_t>(from), size, false);
      ring.give_back();
    }
  }
  EXPECT_GT(taken, 10'000U);
}

}  // namespace
}  // namespace scalio::fabric
