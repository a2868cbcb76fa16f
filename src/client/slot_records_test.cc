#include "client/slot_records.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "layout/hash_block.h"
#include "testing/stepped_connection.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using layout::Kind;
using layout::RegionGeometry;
using layout::WriteState;
using layout::WriteWord;
using Records = std::multimap<std::string, std::string>;

constexpr std::uint64_t kBlocks = 40;

class SlotRecordsTest : public testing::Test {
 protected:
  std::uint64_t point_of(const std::string& key) const { return link_.hello.ssd.point_of(key); }
  std::uint64_t block_of(const std::string& key) const { return blocks_.block_of(point_of(key)); }

  void write(const std::string& key, std::string_view value, WriteState state,
             std::uint32_t slot = 0, Kind kind = Kind::value) {
    const std::uint64_t at = blocks_.block_at(block_of(key));
    constexpr std::uint16_t kGeneration = 3;
    const std::uint32_t upper = layout::encode_slot(
        ByteSpan(region_).subspan(at + blocks_.body(blocks_.read_slots + slot), blocks_.slot_size),
        {key, value, 9, kind},
        layout::slot_place(block_of(key), blocks_.read_slots + slot, kGeneration));
    store(region_.data() + at + blocks_.upper_checksum(slot), upper);
    set_state(key, state, slot);
  }
  void set_state(const std::string& key, WriteState state, std::uint32_t slot = 0) {
    store(region_.data() + blocks_.block_at(block_of(key)) + blocks_.write_word(slot),
          WriteWord{state, 3, layout::tag_of(point_of(key))}.pack());
  }
  std::byte& body_of(const std::string& key) {
    return region_[blocks_.block_at(block_of(key)) + blocks_.body(blocks_.read_slots) + 20];
  }

  void start(std::uint64_t first = 0, std::uint64_t last = ~std::uint64_t{0}) {
    time_.spawn([](SlotRecordsTest& t, std::uint64_t from, std::uint64_t to) -> Task<void> {
      t.found_.emplace(co_await read_slot_records(t.time_, t.link_, from, to,
                                                  t.time_.now() + kSecond, t.counters_));
    }(*this, first, last));
    time_.run_ready();
  }
  void step() {
    connection_->round_trip();
    time_.run_ready();
  }
  void finish() {
    while (!found_) {
      step();
      time_.run_until(time_.now() + kMillisecond);
    }
  }
  Records records() const {
    Records all;
    for (const layout::RecordView& r : (*found_)->records) {
      all.emplace(r.key, r.kind == Kind::tombstone ? "deleted" : std::string(r.value));
    }
    return all;
  }

  const RegionGeometry blocks_{kBlocks, 2, 5, layout::slot_size_for(80)};
  Bytes region_ = Bytes(blocks_.size());
  VirtualTime time_;
  const std::shared_ptr<fabric::SteppedConnection> connection_ =
      std::make_shared<fabric::SteppedConnection>(time_, region_, Bytes(),
                                                  [](ByteView) { return Bytes(); });
  ShardConnection link_{connection_, {0, {}, blocks_, 0, 0, "", {}}, 0, 0, 0, {}, 0, 0, {}};
  ClientCounters counters_;
  std::optional<Result<SlotRecords>> found_;
};

TEST_F(SlotRecordsTest, FindsWhatIsReadableAndNothingElse) {
  write("dirty", "value", WriteState::dirty);
  write("deleted", "", WriteState::dirty, 1, Kind::tombstone);
  write("clean", "merged", WriteState::clean, 2);
  write("locked", "on its way", WriteState::locked, 3);
  write("empty", "left behind", WriteState::empty, 4);
  start();
  finish();
  ASSERT_TRUE(found_->ok()) << found_->status().to_string();
  EXPECT_EQ(records(), (Records{{"dirty", "value"}, {"deleted", "deleted"}, {"clean", "merged"}}));
  // A READ of each block's words, and of the bodies of three.
  EXPECT_EQ(counters_.region_reads, kBlocks + 3);
}

TEST_F(SlotRecordsTest, OnlyWhatIsInTheRange) {
  write("here", "value", WriteState::dirty);
  write("elsewhere", "value", WriteState::dirty, 1);
  start(point_of("here"), point_of("here"));
  finish();
  EXPECT_EQ(records(), (Records{{"here", "value"}}));
  EXPECT_EQ(counters_.region_reads, 2U);
}

// Rule 4: what does not fit its word is being replaced, and is not passed over.
TEST_F(SlotRecordsTest, ASlotThatIsBeingReplacedIsReadAgain) {
  write("key", "value", WriteState::dirty);
  body_of("key") ^= std::byte{1};
  start(point_of("key"), point_of("key"));
  for (int i = 0; i < 6; ++i) step();
  ASSERT_FALSE(found_.has_value());
  body_of("key") ^= std::byte{1};
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), (Records{{"key", "value"}}));
}

// Between the two READs it was given to another write: it was merged before, and its bucket has it.
TEST_F(SlotRecordsTest, ASlotThatIsReusedMeanwhileIsLeft) {
  write("key", "value", WriteState::dirty);
  start(point_of("key"), point_of("key"));
  step();
  set_state("key", WriteState::locked);
  body_of("key") ^= std::byte{1};
  finish();
  ASSERT_TRUE(found_->ok());
  EXPECT_EQ(records(), Records());
}

TEST_F(SlotRecordsTest, ABodyThatNeverFitsEndsAtTheDeadline) {
  write("key", "value", WriteState::dirty);
  body_of("key") ^= std::byte{1};
  const Nanos began = time_.now();
  start();
  finish();
  EXPECT_EQ(found_->code(), Code::timed_out);
  EXPECT_LT(time_.now() - began, kSecond + 100 * kMillisecond);
}

TEST_F(SlotRecordsTest, ALostConnectionIsSaid) {
  write("key", "value", WriteState::dirty);
  start();
  connection_->lose(Status(Code::unavailable, "gone"));
  finish();
  EXPECT_EQ(found_->code(), Code::unavailable);
}

}  // namespace
}  // namespace scalio::client
