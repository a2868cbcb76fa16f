#include "server/block_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "block/buffer.h"
#include "fabric/region_access.h"

namespace scalio::server {
namespace {

using layout::Kind;
using layout::ReadWord;
using layout::RecordView;
using layout::WriteState;
using layout::WriteWord;

// Hashes of one block that share a tag or do not.
constexpr std::uint64_t hash_of(std::uint32_t tag, std::uint64_t more = 0) {
  return more << 32 | tag;
}

class BlockTableTest : public ::testing::Test {
 protected:
  std::uint64_t read_word(std::uint32_t i, std::uint64_t block = 0) {
    return load<std::uint64_t>(region_.data() + geometry_.block_at(block) + geometry_.read_word(i));
  }
  void set_read_word(std::uint32_t i, ReadWord w, std::uint64_t block = 0) {
    store(region_.data() + geometry_.block_at(block) + geometry_.read_word(i), w.pack());
  }
  WriteWord write_word(std::uint32_t i) {
    return WriteWord::unpack(load<std::uint64_t>(region_.data() + geometry_.write_word(i)));
  }
  std::byte* body(std::uint32_t i) {
    return region_.data() + geometry_.body(geometry_.read_slots + i);
  }
  std::optional<RecordView> decode(std::uint32_t i) {
    return layout::decode_slot(
        {body(i), geometry_.slot_size},
        layout::slot_place(0, geometry_.read_slots + i, write_word(i).generation),
        load<std::uint32_t>(region_.data() + geometry_.upper_checksum(i)));
  }
  void publish(std::uint32_t i, std::uint64_t hash, const RecordView& r) {
    table_.reserve(0, i, hash);
    table_.publish(0, i, r, r.version * 10);
    table_.slot(0, i).reserved = false;
  }

  std::uint64_t last_version_ = 0;
  const layout::RegionGeometry geometry_{
      .blocks = 512, .read_slots = 4, .write_slots = 2, .slot_size = 96};
  block::Buffer region_{geometry_.size()};
  BlockTable table_{geometry_, region_.span()};
};

TEST_F(BlockTableTest, ReadSlotsAreFreeAtFirst) {
  for (std::uint32_t i = 0; i < geometry_.read_slots; ++i) {
    EXPECT_TRUE(ReadWord::unpack(read_word(i)).free());
    EXPECT_TRUE(ReadWord::unpack(read_word(i, 511)).free());
  }
  EXPECT_EQ(write_word(0).state, WriteState::empty);
}

TEST_F(BlockTableTest, PublishingKillsReadSlotsOfTheTag) {
  const ReadWord valid{true, true, 7, 55}, filling{true, false, 8, 55}, other{true, true, 9, 56};
  const ReadWord killed_before{false, false, 3, 55};
  set_read_word(0, valid);
  set_read_word(1, filling);
  set_read_word(2, other);
  set_read_word(3, killed_before);
  publish(0, hash_of(55), {"key", "value", 3, Kind::value});

  // Visible is cleared, and nothing else of the word: complete and generation are the clients'.
  EXPECT_EQ(read_word(0), (ReadWord{false, true, 7, 55}.pack()));
  EXPECT_EQ(read_word(1), (ReadWord{false, false, 8, 55}.pack()));
  EXPECT_EQ(read_word(2), other.pack());
  EXPECT_EQ(read_word(3), killed_before.pack());
  EXPECT_EQ(table_.kills(), 2u);
  EXPECT_EQ(write_word(0).state, WriteState::dirty);
  EXPECT_EQ(write_word(0).tag, 55u);
  auto r = decode(0);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->key, "key");
  EXPECT_EQ(r->value, "value");
  EXPECT_EQ(r->version, 3u);
}

TEST_F(BlockTableTest, TheNextWriteOfTheKeyReplacesInPlace) {
  publish(0, hash_of(55), {"key", "old", 3, Kind::value});
  const std::uint16_t generation = write_word(0).generation;
  set_read_word(
      0, {true, true, 7, 55});  // another key's of the tag: not of ours, which has a write slot
  table_.slot(0, 0).reserved = true;
  table_.publish(0, 0, {"key", "", 4, Kind::tombstone}, 40);
  EXPECT_EQ(write_word(0).generation, generation);
  EXPECT_TRUE(ReadWord::unpack(read_word(0)).visible);
  ASSERT_TRUE(decode(0));
  EXPECT_EQ(decode(0)->kind, Kind::tombstone);
  EXPECT_EQ(table_.dirty(), 1u);
}

TEST_F(BlockTableTest, ASlotIsReusedOnlyWhenEmptyOrClean) {
  EXPECT_EQ(table_.reusable(0), 0u);
  table_.reserve(0, 0, hash_of(1));
  EXPECT_EQ(table_.reusable(0), 1u) << "the first is reserved";
  table_.publish(0, 0, {"a", "1", 1, Kind::value}, 10);
  table_.slot(0, 0).reserved = false;
  publish(1, hash_of(2), {"b", "2", 2, Kind::value});
  EXPECT_EQ(table_.reusable(0), std::nullopt) << "both are dirty";

  table_.set_clean(0, 1);
  EXPECT_EQ(write_word(1).state, WriteState::clean);
  EXPECT_EQ(table_.find(0, hash_of(2), "b"), 1u) << "clean, but still there";
  EXPECT_EQ(table_.dirty(), 1u);
  table_.slot(0, 1).merging = true;
  EXPECT_EQ(table_.reusable(0), std::nullopt);
  table_.slot(0, 1).merging = false;
  EXPECT_EQ(table_.reusable(0), 1u);

  const std::uint16_t generation = write_word(1).generation;
  table_.reserve(0, 1, hash_of(3));
  EXPECT_EQ(write_word(1).state, WriteState::empty);
  EXPECT_EQ(table_.find(0, hash_of(2), "b"), std::nullopt);
  table_.publish(0, 1, {"c", "3", 3, Kind::value}, 30);
  EXPECT_NE(write_word(1).generation, generation) << "the old body must not pass for the new one";
}

TEST_F(BlockTableTest, TheKeyThatIsWrittenMoreKeepsItsSlot) {
  publish(0, hash_of(1), {"a", "1", 1, Kind::value});
  publish(1, hash_of(2), {"b", "2", 2, Kind::value});
  table_.set_clean(0, 0);
  table_.set_clean(0, 1);
  EXPECT_EQ(table_.reusable(0), 0u) << "the older one";
  table_.slot(0, 0).reserved = true;
  table_.publish(0, 0, {"a", "3", 3, Kind::value}, 30);
  table_.slot(0, 0).reserved = false;
  table_.set_clean(0, 0);
  EXPECT_EQ(table_.reusable(0), 1u);
}

TEST_F(BlockTableTest, KeysOfOneTagAreToldApart) {
  publish(0, hash_of(5, 1), {"a", "1", 1, Kind::value});
  EXPECT_EQ(table_.find(0, hash_of(5, 2), "b"), std::nullopt);
  EXPECT_EQ(table_.find(0, hash_of(5, 1), "b"), std::nullopt) << "the key decides, not the hash";
  publish(1, hash_of(5, 2), {"b", "2", 2, Kind::value});
  EXPECT_EQ(table_.find(0, hash_of(5, 1), "a"), 0u);
  EXPECT_EQ(table_.find(0, hash_of(5, 2), "b"), 1u);
}

TEST_F(BlockTableTest, ABodyThatAClientDamagedIsNotedAndNotRead) {
  publish(0, hash_of(5), {"a", "1", 1, Kind::value});
  ASSERT_TRUE(table_.read(0, 0));
  EXPECT_EQ(table_.read(0, 0)->value, "1");
  body(0)[layout::kSlotHeader] ^= std::byte{1};
  EXPECT_FALSE(table_.read(0, 0));
  EXPECT_EQ(table_.find(0, hash_of(5), "a"), 0u) << "the server still knows whose slot it is";
}

// Rule 11. All that a reader looks at is right: the version, and the checksum of another value.
TEST_F(BlockTableTest, ABodyThatAClientHasMadeUpIsNotRead) {
  publish(0, hash_of(5), {"a", "1", 1, Kind::value});
  const std::uint64_t place = layout::slot_place(0, geometry_.read_slots, write_word(0).generation);
  const auto forge = [&](const RecordView& record) {
    const std::uint32_t upper = layout::encode_slot({body(0), geometry_.slot_size}, record, place);
    store(region_.data() + geometry_.upper_checksum(0), upper);
    ASSERT_TRUE(decode(0));
  };
  for (const RecordView& forged :
       {RecordView{"a", "2", 1, Kind::value}, RecordView{"a", "", 1, Kind::tombstone},
        RecordView{"b", "1", 1, Kind::value}}) {
    forge(forged);
    EXPECT_FALSE(table_.look(0, 0)) << forged.key << forged.value;
    EXPECT_EQ(table_.find(0, hash_of(5), "a"), 0u) << "the server still knows whose slot it is";
  }
  forge({"a", "1", 1, Kind::value});
  EXPECT_TRUE(table_.look(0, 0)) << "it is what was stored";
  forge({"a", "2", 1, Kind::value});
  table_.republish(0, 0, {"a", "1", 1, Kind::value});
  ASSERT_TRUE(table_.look(0, 0));
  EXPECT_EQ(table_.look(0, 0)->value, "1");
}

// Rule 11: the word looked EMPTY for a while, and a client has cached what the SSD has.
TEST_F(BlockTableTest, EveryStoreOverADamagedWordKillsFirst) {
  const ReadWord cached{true, true, 7, 55};
  enum class Store { replace, clean, reuse, mend };
  for (const Store by : {Store::replace, Store::clean, Store::reuse, Store::mend}) {
    for (const std::uint64_t damage :
         {std::uint64_t{0}, WriteWord{WriteState::dirty, 9, 56}.pack(), ~std::uint64_t{0}}) {
      const std::uint64_t version = ++last_version_;
      publish(0, hash_of(55), {"key", "value", version, Kind::value});
      if (by == Store::reuse) table_.set_clean(0, 0);
      set_read_word(0, cached);
      EXPECT_TRUE(table_.word_intact(0, 0));
      store(region_.data() + geometry_.write_word(0), damage);
      EXPECT_FALSE(table_.word_intact(0, 0));
      const std::uint64_t found = table_.damaged_words();
      if (by == Store::replace) {
        table_.slot(0, 0).reserved = true;
        ++last_version_;
        table_.publish(0, 0, {"key", "value", last_version_, Kind::value}, 10 * last_version_);
        table_.slot(0, 0).reserved = false;
      } else if (by == Store::clean) {
        table_.set_clean(0, 0);
      } else if (by == Store::mend) {
        table_.mend(0, 0);
      }
      if (by != Store::reuse) {
        EXPECT_EQ(write_word(0).state, by == Store::clean ? WriteState::clean : WriteState::dirty);
        EXPECT_EQ(write_word(0).tag, 55u);
        ASSERT_TRUE(decode(0)) << "with the body that belongs to the word";
        EXPECT_EQ(decode(0)->version, last_version_);
      }
      if (table_.slot(0, 0).dirty()) table_.set_clean(0, 0);
      table_.reserve(0, 0, hash_of(1));
      EXPECT_EQ(write_word(0).state, WriteState::empty);
      EXPECT_TRUE(table_.word_intact(0, 0));
      table_.slot(0, 0).reserved = false;
      EXPECT_FALSE(ReadWord::unpack(read_word(0)).visible);
      EXPECT_EQ(table_.damaged_words(), found + 1);
    }
  }
}

TEST_F(BlockTableTest, ABodyIsPublishedAgainInANewGeneration) {
  publish(0, hash_of(55), {"key", "value", 3, Kind::value});
  const WriteWord word = write_word(0);
  set_read_word(0, {true, true, 7, 55});
  store(region_.data() + geometry_.upper_checksum(0), std::uint32_t{0});
  EXPECT_FALSE(table_.look(0, 0));
  table_.republish(0, 0, {"key", "value", 3, Kind::value});
  EXPECT_EQ(write_word(0).state, WriteState::dirty);
  EXPECT_NE(write_word(0).generation, word.generation)
      << "a reader must not mix it with what was there";
  EXPECT_FALSE(ReadWord::unpack(read_word(0)).visible);
  ASSERT_TRUE(table_.look(0, 0));
  EXPECT_EQ(decode(0)->value, "value");
  EXPECT_EQ(table_.slot(0, 0).lsn, 30u);
  EXPECT_EQ(table_.dirty(), 1u);
}

TEST_F(BlockTableTest, DamageToAnEmptySlotIsNoted) {
  EXPECT_TRUE(table_.word_intact(0, 0));
  const WriteWord dirty{WriteState::dirty, 0, 55};
  store(region_.data() + geometry_.write_word(0), dirty.pack());
  EXPECT_FALSE(table_.word_intact(0, 0));
  table_.mend(0, 0);
  EXPECT_EQ(write_word(0).state, WriteState::empty);
  store(region_.data() + geometry_.write_word(0), dirty.pack());
  publish(0, hash_of(55), {"key", "value", 3, Kind::value});
  EXPECT_TRUE(table_.word_intact(0, 0));
  EXPECT_EQ(table_.damaged_words(), 2u);
}

// Rule 1, as another processor sees it: whoever sees DIRTY sees the read slots of the tag killed.
TEST_F(BlockTableTest, KillsAreVisibleBeforeTheValue) {
  for (std::uint64_t block = 0; block < geometry_.blocks; ++block)
    set_read_word(3, {true, true, 1, 77}, block);
  std::atomic<std::uint64_t> stale = 0, looked_at = 0;
  std::thread reader([&] {
    for (std::uint64_t block = 0; block < geometry_.blocks; ++block) {
      const std::byte* b = region_.data() + geometry_.block_at(block);
      while (WriteWord::unpack(fabric::load_word_acquire(b + geometry_.write_word(0))).state !=
             WriteState::dirty) {
      }
      if (ReadWord::unpack(fabric::load_word_acquire(b + geometry_.read_word(3))).visible) ++stale;
      ++looked_at;
    }
  });
  for (std::uint64_t block = 0; block < geometry_.blocks; ++block) {
    table_.reserve(block, 0, hash_of(77));
    table_.publish(block, 0, {"key", "value", 1, Kind::value}, 10);
  }
  reader.join();
  EXPECT_EQ(looked_at, geometry_.blocks);
  EXPECT_EQ(stale, 0u);
}

}  // namespace
}  // namespace scalio::server
