#include "client/move_watch.h"

#include <gtest/gtest.h>

#include <memory>

#include "layout/superblock.h"
#include "testing/local_connection.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using layout::MoveCount;

layout::SsdGeometry geometry_of_ssd() {
  layout::SsdGeometry g;
  auto planned = layout::plan_ssd(g, 1 << 20, 64 << 10);
  SCALIO_ASSERT(planned.ok());
  return *planned;
}

class MoveWatchTest : public testing::Test {
 protected:
  MoveWatchTest() {
    link_.hello.ssd = ssd_;
    open(7);
  }
  // The server tells so many counts.
  void open(std::uint32_t counts) {
    link_.hello.region = {.blocks = 2, .base = 640, .move_counts = counts};
    region_ = Bytes(640 + link_.hello.region.size());
    auto connection = std::make_shared<fabric::LocalConnection>(time_, region_, Bytes());
    connection_ = connection.get();
    link_.connection = std::move(connection);
  }
  void run(Task<void> task) {
    time_.spawn(std::move(task));
    time_.run();
  }
  std::uint64_t count_of(std::uint64_t home) const {
    return link_.hello.region.move_count_of(home, ssd_.buckets);
  }
  // A home that has this count.
  std::uint64_t home_of(std::uint64_t count) const {
    std::uint64_t home = 0;
    while (count_of(home) != count) ++home;
    return home;
  }
  void tell(std::uint64_t count, MoveCount moves) {
    layout::RegionGeometry& region = link_.hello.region;
    store(region_.data() + region.move_count_at(count), moves.pack());
  }

  VirtualTime time_;
  const layout::SsdGeometry ssd_ = geometry_of_ssd();
  Bytes region_;
  ShardConnection link_;
  fabric::LocalConnection* connection_ = nullptr;
  ClientCounters counters_;
};

TEST_F(MoveWatchTest, AHomeIsStillUntilAMoveOfItBegins) {
  tell(2, {5, 0});
  MoveWatch watch(link_, 0, ssd_.buckets, counters_);
  run(watch.begin());
  for (std::uint64_t i = 0; i < 7; ++i) EXPECT_TRUE(watch.began_still(home_of(i)));
  tell(2, {6, 1});
  tell(4, {1, 0});
  run(watch.look_again());
  for (std::uint64_t i = 0; i < 7; ++i)
    EXPECT_EQ(watch.stayed_still(home_of(i)), i != 2 && i != 4) << i;
  EXPECT_EQ(counters_.region_reads, 2U);
  EXPECT_EQ(counters_.region_bytes_read, 2U * 7 * 8);
}

TEST_F(MoveWatchTest, WhatWasUnderWayIsNotStillWhenItHasEnded) {
  tell(3, {9, 2});
  MoveWatch watch(link_, 0, ssd_.buckets, counters_);
  run(watch.begin());
  EXPECT_FALSE(watch.began_still(home_of(3)));
  tell(3, {9, 0});
  run(watch.look_again());
  EXPECT_FALSE(watch.stayed_still(home_of(3)));
  EXPECT_TRUE(watch.stayed_still(home_of(4)));
}

// A look that is done once more: what it was for is read again.
TEST_F(MoveWatchTest, TheLastLookCounts) {
  MoveWatch watch(link_, 0, ssd_.buckets, counters_);
  run(watch.begin());
  run(watch.look_again());
  EXPECT_TRUE(watch.stayed_still(0));
  tell(0, {1, 0});
  run(watch.look_again());
  EXPECT_FALSE(watch.stayed_still(0));
}

TEST_F(MoveWatchTest, OnlyTheCountsOfItsHomesAreRead) {
  const std::uint64_t first = home_of(2), end = home_of(4) + 1;
  MoveWatch watch(link_, first, end, counters_);
  run(watch.begin());
  EXPECT_EQ(counters_.region_bytes_read, 3U * 8);
  tell(4, {1, 1});
  run(watch.look_again());
  EXPECT_TRUE(watch.stayed_still(first));
  EXPECT_FALSE(watch.stayed_still(end - 1));
}

// However many there are: a READ has so few that each is whole.
TEST_F(MoveWatchTest, EveryHomeMayHaveItsOwn) {
  open(1 << 16);
  MoveWatch watch(link_, 0, 100, counters_);
  run(watch.begin());
  tell(99, {1, 0});
  run(watch.look_again());
  EXPECT_TRUE(watch.stayed_still(98));
  EXPECT_FALSE(watch.stayed_still(99));
  EXPECT_EQ(counters_.region_reads, 2U * 5);
}

TEST_F(MoveWatchTest, NothingIsKnownOfAServerThatTellsNoneOrCannotBeRead) {
  MoveWatch lost(link_, 0, 9, counters_);
  run(lost.begin());
  connection_->lose(Status(Code::unavailable, "gone"));
  run(lost.look_again());
  EXPECT_FALSE(lost.stayed_still(3));
  run(lost.begin());
  EXPECT_FALSE(lost.began_still(3));
  open(0);
  MoveWatch none(link_, 0, 9, counters_);
  const std::uint64_t reads = counters_.region_reads;
  run(none.begin());
  run(none.look_again());
  EXPECT_FALSE(none.began_still(3));
  EXPECT_FALSE(none.stayed_still(3));
  EXPECT_EQ(counters_.region_reads, reads);
}

}  // namespace
}  // namespace scalio::client
