#include "server/bucket_room.h"

#include <gtest/gtest.h>

#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

constexpr std::uint64_t kStretch = BucketRoom::kStretch;
constexpr std::uint32_t kBytes = 100;

class BucketRoomTest : public ::testing::Test {
 protected:
  // All stretches have so much.
  void set_all(std::uint64_t bytes) {
    for (std::uint64_t i = 0; i * kStretch < ssd_.all_buckets(); ++i) room_.set_usable(i, bytes);
  }
  void log(WriteSlot& slot, std::uint64_t home, std::uint32_t bytes) {
    room_.admit(slot, home, bytes);
    slot.state = layout::WriteState::dirty;
  }
  void merge(WriteSlot& slot, std::uint64_t home) {
    slot.state = layout::WriteState::clean;
    room_.settle(slot, home);
  }
  bool may_take_turn(std::uint64_t home) {
    BucketRoom::Turn turn(room_, home);
    return turn.take();
  }

  const LoopPtr loop_ = make_loop();
  const layout::SsdGeometry ssd_ = test_geometry(16 * kStretch);
  BucketRoom room_{*loop_, ssd_};
};

TEST_F(BucketRoomTest, WhatWasNotMeasuredIsNotOpen) {
  const std::uint64_t home = 5 * kStretch + 3;
  WriteSlot slot;
  for (const std::uint64_t stretch : {5, 6, 7}) {
    EXPECT_FALSE(room_.admits(slot, home, kBytes));
    EXPECT_EQ(room_.unmeasured(home), stretch);
    room_.set_usable(stretch, 1000);
  }
  EXPECT_EQ(room_.unmeasured(home), std::nullopt);
  EXPECT_TRUE(room_.admits(slot, home, kBytes));
  EXPECT_TRUE(room_.admits(slot, 0, 0)) << "a deletion";
}

TEST_F(BucketRoomTest, BothEndsCanBeMeasuredAndOpen) {
  WriteSlot slot;
  for (const std::uint64_t home : {std::uint64_t{0}, ssd_.buckets - 1}) {
    for (int i = 0; i < 3 && room_.unmeasured(home); ++i)
      room_.set_usable(*room_.unmeasured(home), 1000);
    EXPECT_TRUE(room_.admits(slot, home, kBytes)) << home;
  }
}

TEST_F(BucketRoomTest, WhatMayBeTakenIsCountedUntilItIsMerged) {
  set_all(3 * kBytes);
  const std::uint64_t home = 5 * kStretch;
  WriteSlot a, b, c;
  log(a, home, kBytes);
  log(b, home + kStretch, kBytes);
  EXPECT_FALSE(room_.admits(c, home, kBytes)) << "as much as there is, and not more";
  EXPECT_TRUE(room_.admits(c, home, kBytes - 1));
  EXPECT_FALSE(room_.admits(c, home + 3 * kStretch, 2 * kBytes)) << "b may be there";
  EXPECT_TRUE(room_.admits(c, home + 4 * kStretch, 2 * kBytes));
  EXPECT_TRUE(room_.admits(a, home, kBytes)) << "it replaces itself";
  a.in_log = 1;
  merge(a, home);
  EXPECT_FALSE(room_.admits(c, home, kBytes)) << "a has another write on its way";
  a.in_log = 0;
  room_.settle(a, home);
  EXPECT_TRUE(room_.admits(c, home, kBytes));
}

TEST_F(BucketRoomTest, WhatIsWrittenIsTakenFromWhatIsUsable) {
  set_all(1000);
  WriteSlot slot;
  const std::uint32_t empty = layout::kBucketHeader;
  for (std::uint64_t i = 0; room_.admits(slot, 5 * kStretch, kBytes); ++i) {
    ASSERT_LT(i, 10u);
    room_.changed(6 * kStretch + i, empty, empty + kBytes);
  }
  room_.changed(6 * kStretch, empty + kBytes, empty);
  EXPECT_TRUE(room_.admits(slot, 5 * kStretch, kBytes));
  // Of a bucket into which the largest record does not go nothing is usable.
  EXPECT_EQ(room_.usable(ssd_.bucket_size - 10 - ssd_.inline_limit), 1u);
  EXPECT_EQ(room_.usable(ssd_.bucket_size - 9 - ssd_.inline_limit), 0u);
  EXPECT_EQ(room_.usable(ssd_.bucket_size), 0u);
}

TEST_F(BucketRoomTest, WhereItIsNotOpenTheOldRecordsRoomIsTheKeys) {
  set_all(0);
  const std::uint64_t home = 5 * kStretch;
  WriteSlot slot;
  slot.room_bytes = kBytes;
  EXPECT_FALSE(room_.admits(slot, home, kBytes + 1));
  EXPECT_TRUE(room_.admits(slot, home, kBytes));
  log(slot, home, kBytes);
  EXPECT_TRUE(room_.admits(slot, home, kBytes)) << "again";
  EXPECT_TRUE(may_take_turn(home)) << "it takes no room";
  log(slot, home, kBytes - 10);
  EXPECT_FALSE(room_.admits(slot, home, kBytes)) << "the rest may be gone by then";
  merge(slot, home);
  EXPECT_TRUE(room_.admits(slot, home, kBytes - 10)) << "so large is it now";
  log(slot, home, 0);
  EXPECT_FALSE(room_.admits(slot, home, 1)) << "a deletion gives it away";
}

TEST_F(BucketRoomTest, OneIsAloneWithWhatIsLeft) {
  const std::uint64_t home = 5 * kStretch;
  set_all(1000);
  WriteSlot counted, alone, other;
  log(counted, home + 2 * kStretch, kBytes);
  set_all(0);
  EXPECT_FALSE(room_.admits(counted, home + 2 * kStretch, kBytes)) << "its merge goes first";
  EXPECT_FALSE(may_take_turn(home));
  merge(counted, home + 2 * kStretch);
  {
    BucketRoom::Turn turn(room_, home);
    ASSERT_TRUE(turn.take());
    EXPECT_FALSE(may_take_turn(home + 2 * kStretch));
    EXPECT_FALSE(may_take_turn(home - 2 * kStretch));
    EXPECT_TRUE(may_take_turn(home + 3 * kStretch));
    // Should there be much room of a sudden, it is still not for those who could take this one's.
    set_all(1000);
    EXPECT_FALSE(room_.admits(other, home + 2 * kStretch, kBytes));
    EXPECT_FALSE(room_.admits(other, home - 2 * kStretch, kBytes));
    EXPECT_TRUE(room_.admits(other, home + 3 * kStretch, kBytes));
    EXPECT_FALSE(room_.may_move(home + 2 * kStretch, 1));
    turn.pass_to(alone, kBytes);
    alone.state = layout::WriteState::dirty;
  }
  EXPECT_FALSE(may_take_turn(home + 2 * kStretch)) << "it is not merged";
  merge(alone, home);
  EXPECT_TRUE(room_.admits(other, home + 2 * kStretch, kBytes));
}

}  // namespace
}  // namespace scalio::server
