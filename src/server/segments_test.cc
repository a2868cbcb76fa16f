#include "server/segments.h"

#include <gtest/gtest.h>

#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

using Among = Segments::Among;
using Kept = Segments::Kept;
using User = Segments::User;

class SegmentsTest : public ::testing::Test {
 protected:
  SegmentsTest() {
    geometry_ = test_geometry(64);
    geometry_.segment_size = 128 << 10;
    geometry_.value_size = 9 * geometry_.segment_size;
    geometry_.device_size = geometry_.value_offset() + geometry_.value_size + 4096;
    segments_.emplace(geometry_);
    segments_->restored();
  }
  // Fills a segment, or begins to, and returns the pointers to its values, of one key's length.
  std::vector<Bytes> fill(User user = User::writes, std::uint64_t end = 0, std::size_t most = 100) {
    const auto header = segments_->begin(user);
    EXPECT_TRUE(header);
    segments_->opened(user, header->number);
    std::vector<Bytes> pointers;
    const std::uint64_t size = layout::stored_size(kLength, kKey, geometry_.block_size);
    while (pointers.size() < most) {
      const auto place = segments_->take(user, size);
      if (!place) break;
      pointers.emplace_back(layout::kPointerSize);
      layout::encode(pointers.back(), layout::Pointer{place->offset, place->sequence, kLength, 0});
      segments_->add_live(pointers.back(), kKey, end);
      segments_->unpin(place->number);
    }
    return pointers;
  }

  static constexpr std::uint32_t kLength = 20'000;
  static constexpr std::size_t kKey = 3;
  layout::SsdGeometry geometry_;
  std::optional<Segments> segments_;
};

TEST_F(SegmentsTest, TheLastFreeOnesAreTheCleaners) {
  for (int i = 0; i < 6; ++i) EXPECT_EQ(fill().size(), 6u);
  EXPECT_TRUE(segments_->scarce());
  EXPECT_FALSE(segments_->begin(User::writes));
  EXPECT_EQ(segments_->movable(), segments_->capacity());
  for (int i = 0; i < 2; ++i) fill(User::cleaner);
  EXPECT_FALSE(segments_->begin(User::cleaner));
  EXPECT_LT(segments_->movable(), 20'000u);
}

TEST_F(SegmentsTest, TheOneWithTheFewestLiveBytesIsCleanedIfThatGainsSomething) {
  std::vector<std::vector<Bytes>> all;
  for (int i = 0; i < 6; ++i) all.push_back(fill());
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL)) << "all is live";
  segments_->remove_live(all[2][0], kKey);
  for (int i = 0; i < 3; ++i) segments_->remove_live(all[4][i], kKey);
  EXPECT_FALSE(segments_->begin_cleaning(50'000)) << "more is live";
  auto victim = segments_->begin_cleaning(~0ULL);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 5u);
  EXPECT_EQ(victim->live, 3 * layout::stored_size(kLength, kKey, geometry_.block_size));
  const auto second = segments_->begin_cleaning(~0ULL);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->header.number, 3u);
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL));
  segments_->keep(second->header.number, Kept::as_it_is);
  segments_->release(victim->header.number);
  const auto begun = segments_->begin(User::writes);
  ASSERT_TRUE(begun);
  EXPECT_GT(begun->sequence, victim->header.sequence);
  // Nothing counts that is of an earlier filling.
  segments_->remove_live(all[4][4], kKey);
  segments_->add_live(all[4][4], kKey, 0);
  EXPECT_EQ(segments_->begin_cleaning(~0ULL)->header.number, 3u);
}

TEST_F(SegmentsTest, WhatIsBeingWrittenIsNotCleaned) {
  const auto header = segments_->begin(User::writes);
  segments_->opened(User::writes, header->number);
  const auto place = segments_->take(User::writes, 4096);
  fill();
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL)) << "nothing is live in the first, but a writer";
  EXPECT_TRUE(segments_->held());
  segments_->unpin(place->number);
  EXPECT_FALSE(segments_->held());
  const auto victim = segments_->begin_cleaning(~0ULL);
  ASSERT_TRUE(victim) << "it is less than half full";
  EXPECT_EQ(victim->header.number, 1u);
}

// Who has a value of a segment on its way, and waits for room, does not wait for itself.
TEST_F(SegmentsTest, WhatWhoeverAsksHasIsNotHeldByOthers) {
  const auto header = segments_->begin(User::writes);
  segments_->opened(User::writes, header->number);
  const auto mine = segments_->take(User::writes, 4096);
  fill();
  EXPECT_TRUE(segments_->held());
  EXPECT_FALSE(segments_->held(mine->number));
  EXPECT_TRUE(segments_->held(mine->number + 1)) << "another's";
  segments_->reopen(mine->number, 8192);
  const auto other = segments_->take(User::cleaner, 4096);
  ASSERT_EQ(other->number, mine->number);
  EXPECT_TRUE(segments_->held(mine->number)) << "another's, too";
}

TEST_F(SegmentsTest, WhatCouldNotBeCleanedIsPassedOverAndOthersHaveTheirTurn) {
  std::vector<std::vector<Bytes>> all;
  for (int i = 0; i < 6; ++i) all.push_back(fill());
  for (int i = 0; i < 3; ++i) segments_->remove_live(all[4][i], kKey);
  for (int i = 0; i < 2; ++i) segments_->remove_live(all[2][i], kKey);
  const auto victim = [&] {
    const auto chosen = segments_->begin_cleaning(~0ULL);
    return chosen ? chosen->header.number : 0U;
  };
  ASSERT_EQ(victim(), 5U);
  segments_->keep(5, Kept::for_want_of_room);
  EXPECT_EQ(victim(), 3U);
  segments_->keep(3, Kept::this_time);
  EXPECT_EQ(victim(), 0U);
  EXPECT_EQ(segments_->totals().passed_over, 2U);
  segments_->another_turn();
  EXPECT_EQ(victim(), 3U);
  EXPECT_EQ(segments_->totals().passed_over, 1U);
  segments_->release(3);
  EXPECT_EQ(victim(), 5U) << "there is room now";
  segments_->keep(5, Kept::for_want_of_room);
  EXPECT_EQ(victim(), 0U);
  segments_->remove_live(all[4][4], kKey);
  EXPECT_EQ(victim(), 5U) << "less is live there";
  segments_->release(5);
  EXPECT_EQ(segments_->totals().passed_over, 0U);
}

TEST_F(SegmentsTest, WhatIsTheCleanersIsNotFree) {
  const std::uint64_t size = layout::stored_size(kLength, kKey, geometry_.block_size);
  Segments::Totals t = segments_->totals();
  EXPECT_EQ(t.usable, 6 * segments_->capacity());
  EXPECT_EQ(t.free, t.usable);
  EXPECT_EQ(t.fill(), 0);
  for (int i = 0; i < 5; ++i) fill();
  fill(User::writes, 0, 4);
  fill(User::cleaner, 0, 1);
  t = segments_->totals();
  EXPECT_EQ(t.free, segments_->capacity() - 4 * size);
  EXPECT_EQ(t.live, 35 * size);
  EXPECT_EQ(t.fill(), 35.0 * static_cast<double>(size) / static_cast<double>(t.usable));
  geometry_.value_size = 2 * geometry_.segment_size;
  EXPECT_EQ(Segments(geometry_).totals().usable, 0U) << "its one segment is the cleaner's";
}

// Where a writer cannot begin another: else it would be dead for ever.
TEST_F(SegmentsTest, WhatIsDeadInThoseThatAreBeingFilledIsCleanedIfNothingElseIs) {
  const std::uint64_t size = layout::stored_size(kLength, kKey, geometry_.block_size);
  for (int i = 0; i < 5; ++i) fill();
  const std::vector<Bytes> last = fill(), moved = fill(User::cleaner);
  for (int i = 0; i < 2; ++i) segments_->remove_live(last[i], kKey);
  for (int i = 0; i < 3; ++i) segments_->remove_live(moved[i], kKey);
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL)) << "they may still be filled";
  auto victim = segments_->begin_cleaning(~0ULL, Among::all);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 7U);
  EXPECT_EQ(victim->live, 3 * size);
  EXPECT_FALSE(segments_->take(User::cleaner, 512)) << "it is filled no further";
  segments_->release(7);
  victim = segments_->begin_cleaning(~0ULL, Among::all);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 6U);
  segments_->keep(6, Kept::as_it_is);
  EXPECT_EQ(segments_->begin_cleaning(~0ULL)->header.number, 6U) << "now it is as any other";
}

TEST_F(SegmentsTest, TheOneThatIsBeingFilledIsNotCleanedInVain) {
  const std::uint64_t size = layout::stored_size(kLength, kKey, geometry_.block_size);
  for (int i = 0; i < 6; ++i) fill();
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL, Among::all)) << "all is live";
  // An upload has its room from there on.
  const auto header = segments_->begin(User::cleaner);
  segments_->opened(User::cleaner, header->number);
  const auto place = segments_->take(User::cleaner, 3 * size);
  EXPECT_TRUE(segments_->held());
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL, Among::all)) << "it is being written";
  segments_->unpin(place->number);
  EXPECT_EQ(segments_->begin_cleaning(~0ULL, Among::all)->live, 0U);
  segments_->release(header->number);
  // The cleaner's last room is not given up.
  fill(User::cleaner);
  const std::vector<Bytes> mine = fill(User::cleaner);
  segments_->remove_live(mine[0], kKey);
  EXPECT_EQ(segments_->totals().free_segments, 0U);
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL, Among::all));
}

// So that a value that fits a whole segment finds one.
TEST_F(SegmentsTest, WhatFitsBehindTheCleanersIsMovedThere) {
  const std::uint64_t size = layout::stored_size(kLength, kKey, geometry_.block_size);
  for (int i = 0; i < 5; ++i) fill();
  fill(User::writes, 0, 3);
  fill(User::cleaner, 0, 4);
  EXPECT_FALSE(segments_->begin_cleaning(~0ULL, Among::all)) << "there is room for two";
  fill(User::cleaner, 0, 3);
  const auto victim = segments_->begin_cleaning(~0ULL, Among::all);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 6U);
  EXPECT_EQ(victim->live, 3 * size);
}

TEST_F(SegmentsTest, KnowsWhereTheValuesOfItsFillingsBegin) {
  const std::vector<Bytes> pointers = fill();
  segments_->remove_live(pointers[0], kKey);
  fill();
  std::vector<std::uint32_t> begins;
  for (const Bytes& p : pointers) {
    const std::uint64_t offset = layout::decode_pointer(p, kKey, geometry_)->offset;
    begins.push_back(static_cast<std::uint32_t>((offset - geometry_.segment_size) / 512));
  }
  const auto victim = segments_->begin_cleaning(~0ULL);
  ASSERT_EQ(victim->header.number, 1u);
  EXPECT_EQ(*segments_->begins(1), begins);
  segments_->release(1);
  // Not of what was filled before the start.
  Segments again(geometry_);
  again.restore(segments_->table(), true);
  again.restored();
  EXPECT_EQ(again.begin_cleaning(~0ULL)->header.number, 2u);
  EXPECT_FALSE(again.begins(2));
}

TEST_F(SegmentsTest, ManySmallValuesAreNotKnown) {
  for (const std::uint32_t size : {512u, 16'384u}) {
    Segments segments(geometry_);
    segments.restored();
    segments.opened(User::writes, segments.begin(User::writes)->number);
    while (const auto place = segments.take(User::writes, size)) segments.unpin(place->number);
    segments.opened(User::writes, segments.begin(User::writes)->number);
    ASSERT_EQ(segments.begin_cleaning(~0ULL)->header.number, 1u);
    EXPECT_EQ(segments.begins(1) != nullptr, size == 16'384u) << size;
  }
}

TEST_F(SegmentsTest, CountsComeBackFromTheTableAndTheLog) {
  fill();
  const std::vector<Bytes> pointers = fill();
  segments_->remove_live(pointers[0], kKey);
  Segments again(geometry_);
  again.restore(segments_->table(), true);
  again.restore(layout::SegmentCount{1, 1, 512});
  again.restored();
  EXPECT_EQ(again.totals().live,
            512 + 5 * layout::stored_size(kLength, kKey, geometry_.block_size));
  EXPECT_EQ(again.totals().free_segments, 6u);
  EXPECT_EQ(again.begin(User::writes)->sequence, 3u);
  // What is not known may be full.
  Segments unknown(geometry_);
  unknown.restore(segments_->table(), false);
  unknown.restored();
  EXPECT_EQ(unknown.totals().free_segments, 0u);
  EXPECT_FALSE(unknown.begin_cleaning(~0ULL));
}

TEST_F(SegmentsTest, WhatIsFreeIsCleanedAgainIfPartOfTheLogIsLost) {
  Segments again(geometry_);
  layout::SegmentTable table = segments_->table();
  table.entries[0] = {1, layout::kFreeSegment};
  again.restore(table, true);
  again.distrust_free();
  again.restored();
  EXPECT_EQ(again.totals().free_segments, 7U) << "those that were never used";
  const auto victim = again.begin_cleaning(~0ULL);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 1U);
}

TEST_F(SegmentsTest, OneWhoseBeginCannotBeReadIsLeftAlone) {
  Segments again(geometry_);
  layout::SegmentTable table = segments_->table();
  table.entries[0] = {1, layout::kFreeSegment};
  table.entries[1] = {2, 512};
  again.restore(table, true);
  for (const std::uint32_t number : {1U, 2U, 3U}) again.restore_unreadable(number);
  again.restored();
  EXPECT_EQ(again.totals().free_segments, 5U);
  EXPECT_EQ(again.begin(User::writes)->number, 4U);
  const auto victim = again.begin_cleaning(~0ULL);
  ASSERT_TRUE(victim) << "what is known of it still counts";
  EXPECT_EQ(victim->header.number, 2U);
  EXPECT_FALSE(again.begin_cleaning(~0ULL));
}

TEST_F(SegmentsTest, WhatWasReleasedIsFreeAfterARestart) {
  std::vector<std::vector<Bytes>> all;
  for (int i = 0; i < 3; ++i) all.push_back(fill());
  for (const Bytes& pointer : all[2]) segments_->remove_live(pointer, kKey);
  const auto victim = segments_->begin_cleaning(~0ULL, Among::all);
  ASSERT_TRUE(victim);
  ASSERT_EQ(victim->header.number, 3U);
  Segments before(geometry_);
  before.restore(segments_->table(), true);
  before.restored();
  EXPECT_EQ(before.totals().free_segments, 5U) << "it is being cleaned";
  segments_->changed_counts();
  segments_->release(3);
  const std::vector<layout::SegmentCount> counts = segments_->changed_counts();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0], (layout::SegmentCount{3, 3, layout::kFreeSegment}));
  // As the table has it, and as the log has.
  Segments by_table(geometry_), by_log(geometry_);
  by_table.restore(segments_->table(), true);
  by_log.restore(before.table(), true);
  by_log.restore(counts[0]);
  for (Segments* again : {&by_table, &by_log}) {
    again->restored();
    EXPECT_EQ(again->totals().free_segments, 6U);
    EXPECT_EQ(again->totals().live, segments_->totals().live);
    const auto begun = again->begin(User::writes);
    EXPECT_EQ(begun->number, 3U);
    EXPECT_EQ(begun->sequence, 4U) << "none is given twice";
  }
}

// The part of the log that told of its filling is lost.
TEST_F(SegmentsTest, WhatBeginsWithALaterFillingIsNotFree) {
  fill();
  Segments again(geometry_);
  again.restore(segments_->table(), true);
  again.restore(layout::SegmentHeader{1, 1});
  again.restore(layout::SegmentHeader{4, 7});
  again.restored();
  EXPECT_EQ(again.totals().free_segments, 6U);
  EXPECT_EQ(again.totals().live, segments_->totals().live) << "of the first it is known";
  const auto victim = again.begin_cleaning(~0ULL);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->header.number, 4U);
  EXPECT_EQ(victim->header.sequence, 7U);
  EXPECT_EQ(again.begin(User::writes)->sequence, 8U);
}

TEST_F(SegmentsTest, ThatOneWasBegunIsLoggedBeforeOtherCounts) {
  for (int i = 0; i < 5; ++i) fill();
  const auto begun = segments_->begin(User::cleaner);
  std::vector<layout::SegmentCount> counts = segments_->changed_counts();
  ASSERT_EQ(counts.size(), Segments::kMostCounts);
  EXPECT_EQ(counts[0], (layout::SegmentCount{begun->number, begun->sequence, 0}));
  counts = segments_->changed_counts();
  EXPECT_EQ(counts.size(), 2U) << "each is told once";
  EXPECT_TRUE(segments_->changed_counts().empty());
}

// A server that died while it cleaned may have left no free segment.
TEST_F(SegmentsTest, TheCleanerGoesOnWithWhatWasBeingFilled) {
  for (int i = 0; i < 6; ++i) fill();
  for (int i = 0; i < 2; ++i) fill(User::cleaner);
  Segments again(geometry_);
  again.restore(segments_->table(), true);
  again.restored();
  EXPECT_EQ(again.movable(), 0u);
  const auto newest = again.reopenable();
  ASSERT_EQ(newest.size(), 2u);
  EXPECT_EQ(newest[0].sequence, 8u);
  EXPECT_EQ(newest[1].sequence, 7u);
  again.reopen(newest[1].number, 100 << 10);
  EXPECT_EQ(again.movable(), 28u << 10);
  const auto place = again.take(User::cleaner, 4096);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->offset, newest[1].number * geometry_.segment_size + (100 << 10));
  EXPECT_EQ(place->sequence, 7u);
}

// Once for the ends that have passed, and once after a restart.
TEST_F(SegmentsTest, WhatMayHaveEndedIsInspectedOnce) {
  fill();
  fill(User::writes, 200);
  fill(User::writes, 100);
  fill();
  EXPECT_FALSE(segments_->begin_inspection(99));
  const auto third = segments_->begin_inspection(100);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->number, 3U);
  EXPECT_FALSE(segments_->begin_inspection(100)) << "it is being inspected";
  for (const std::uint64_t end : {500, 0, 400}) segments_->inspected(3, end);
  segments_->keep(3, Kept::as_it_is);
  EXPECT_FALSE(segments_->begin_inspection(199));
  EXPECT_EQ(segments_->begin_inspection(200)->number, 2U);
  segments_->keep(2, Kept::as_it_is);
  EXPECT_FALSE(segments_->begin_inspection(399));
  EXPECT_EQ(segments_->begin_inspection(400)->number, 3U);
  segments_->keep(3, Kept::as_it_is);
  EXPECT_FALSE(segments_->begin_inspection(~0ULL));

  const layout::SegmentTable table = segments_->table();
  segments_.emplace(geometry_);
  segments_->restore(table, true);
  segments_->restored();
  for (std::uint32_t number = 1; number <= 4; ++number) {
    EXPECT_EQ(segments_->begin_inspection(1)->number, number);
    segments_->keep(number, Kept::as_it_is);
  }
  EXPECT_FALSE(segments_->begin_inspection(~0ULL)) << "the others are free";
}

}  // namespace
}  // namespace scalio::server
