#include "client/block_view.h"

#include <gtest/gtest.h>

#include <string>

namespace scalio::client {
namespace {

using layout::ReadWord;
using layout::RecordView;
using layout::WriteState;
using layout::WriteWord;
using Found = BlockView::Found;

constexpr std::uint32_t kTag = 77;
constexpr std::uint64_t kBlock = 5;

// A block as a client reads it.
class BlockViewTest : public testing::Test {
 protected:
  BlockViewTest() {
    for (std::uint32_t i = 0; i < geometry_.read_slots; ++i) put_word(i, ReadWord{});
  }
  void put_word(std::uint32_t slot, const ReadWord& word) {
    store(bytes_.data() + geometry_.read_word(slot), word.pack());
  }
  void cache(std::uint32_t slot, const RecordView& record, std::uint32_t tag = kTag,
             std::uint32_t clock = 0) {
    put_word(slot, {true, true, 1, tag, clock & ~0xffffU});
    layout::encode_slot(body(slot), record, layout::slot_place(kBlock, slot, 1),
                        static_cast<std::uint16_t>(clock));
  }
  void publish(std::uint32_t index, const RecordView& record, WriteState state,
               std::uint32_t tag = kTag) {
    const std::uint32_t slot = geometry_.read_slots + index;
    store(bytes_.data() + geometry_.write_word(index), WriteWord{state, 1, tag}.pack());
    const std::uint32_t upper =
        layout::encode_slot(body(slot), record, layout::slot_place(kBlock, slot, 1));
    store(bytes_.data() + geometry_.upper_checksum(index), upper);
  }
  ByteSpan body(std::uint32_t slot) {
    return ByteSpan(bytes_).subspan(geometry_.body(slot), geometry_.slot_size);
  }
  BlockView view() const { return BlockView(geometry_, kBlock, bytes_); }
  // The value that is found, or what else is.
  std::string value_of(std::string_view key, Found expected = Found::record) const {
    BlockView v = view();
    const Found found = v.look_up(key, kTag);
    EXPECT_EQ(found, expected);
    return found == Found::record ? std::string(v.record().value) : "";
  }

  const layout::RegionGeometry geometry_{8, 3, 2, layout::slot_size_for(64)};
  Bytes bytes_ = Bytes(geometry_.block_size());
};

TEST_F(BlockViewTest, AnEmptyBlockHasNoRecord) { value_of("key", Found::none); }

TEST_F(BlockViewTest, FindsTheKeyAmongThoseOfItsTag) {
  cache(0, {"other", "wrong", 1});
  cache(2, {"key", "right", 2});
  EXPECT_EQ(value_of("key"), "right");
  BlockView v = view();
  EXPECT_EQ(v.look_up("key", kTag), Found::record);
  EXPECT_EQ(v.slot(), 2U);
  EXPECT_EQ(v.record().version, 2U);
  value_of("third", Found::none);
}

TEST_F(BlockViewTest, DoesNotLookIntoSlotsOfOtherTags) {
  cache(0, {"key", "value", 1}, kTag + 1);
  publish(0, {"key", "value", 1}, WriteState::dirty, kTag + 1);
  value_of("key", Found::none);
}

TEST_F(BlockViewTest, AWriteSlotWinsOverAReadSlot) {
  for (const WriteState state : {WriteState::dirty, WriteState::clean}) {
    cache(0, {"key", "older", 1});
    publish(1, {"key", "newer", 2}, state);
    EXPECT_EQ(value_of("key"), "newer");
  }
}

TEST_F(BlockViewTest, AWriteSlotThatIsNotReadableHidesNothing) {
  cache(0, {"key", "cached", 1});
  for (const WriteState state : {WriteState::empty, WriteState::locked}) {
    publish(0, {"key", "newer", 2}, state);
    EXPECT_EQ(value_of("key"), "cached");
  }
}

// Rule 4: it is being replaced, and what stands behind it is older.
TEST_F(BlockViewTest, AWriteSlotThatFailsItsChecksumIsReadAgain) {
  cache(0, {"key", "older", 1});
  publish(0, {"key", "newer", 2}, WriteState::dirty);
  body(geometry_.read_slots)[layout::kSlotHeader] ^= std::byte{1};
  value_of("key", Found::replaced);
  // Half a checksum is not enough.
  publish(0, {"key", "newer", 2}, WriteState::dirty);
  bytes_[geometry_.upper_checksum(0)] ^= std::byte{1};
  value_of("key", Found::replaced);
}

TEST_F(BlockViewTest, AReadSlotThatFailsItsChecksumIsNotThere) {
  cache(0, {"key", "value", 1});
  body(0)[layout::kSlotHeader] ^= std::byte{1};
  value_of("key", Found::none);
}

// A late write of an owner that the slot was taken from.
TEST_F(BlockViewTest, ABodyOfAnotherGenerationOrPlaceIsNotThere) {
  cache(0, {"key", "value", 1});
  put_word(0, {true, true, 2, kTag, 0});
  value_of("key", Found::none);
  cache(1, {"key", "value", 1});
  std::ranges::copy(body(1), body(2).begin());
  put_word(1, ReadWord{});
  put_word(2, {true, true, 1, kTag, 0});
  value_of("key", Found::none);
}

TEST_F(BlockViewTest, ASlotThatIsBeingFilledIsNamed) {
  cache(0, {"other", "value", 1});
  put_word(1, {true, false, 1, kTag, 0});
  BlockView v = view();
  EXPECT_EQ(v.look_up("key", kTag), Found::filling);
  EXPECT_EQ(v.slot(), 1U);
  // Killed meanwhile: nobody will read it.
  put_word(1, {false, false, 1, kTag, 0});
  value_of("key", Found::none);
  // And a record that is there is not waited for.
  put_word(1, {true, false, 1, kTag, 0});
  cache(2, {"key", "value", 1});
  EXPECT_EQ(value_of("key"), "value");
}

TEST_F(BlockViewTest, ASlotIsAsOldAsItsLastTouchOrFill) {
  constexpr std::uint32_t kNow = 1'000'000;
  cache(0, {"key", "value", 1}, kTag, kNow - 300'000);
  EXPECT_EQ(view().age(0, kNow), 300'000U);
  store(bytes_.data() + geometry_.clock(0), std::uint32_t{kNow - 1000});
  EXPECT_EQ(view().age(0, kNow), 1000U);
  store(bytes_.data() + geometry_.clock(0), std::uint32_t{kNow - 500'000});
  EXPECT_EQ(view().age(0, kNow), 300'000U);
}

}  // namespace
}  // namespace scalio::client
