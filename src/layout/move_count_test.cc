#include "layout/move_count.h"

#include <gtest/gtest.h>

namespace scalio::layout {
namespace {

TEST(MoveCount, HasItsFormat) {
  EXPECT_EQ((MoveCount{0x0102030405, 0x0607}.pack()), 0x00010203'04050607U);
  const MoveCount count = MoveCount::unpack(0x0001020304050607);
  EXPECT_EQ(count.begun, 0x0102030405U);
  EXPECT_EQ(count.under_way, 0x0607U);
  EXPECT_EQ(MoveCount().pack(), 0U);
  // It goes round.
  EXPECT_EQ((MoveCount{(1ULL << 48) + 1, 2}.pack()), 0x10002U);
}

}  // namespace
}  // namespace scalio::layout
