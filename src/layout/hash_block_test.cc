#include "layout/hash_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint64_t kBlock = 77;
constexpr std::uint32_t kSlot = 3;
constexpr std::uint16_t kGeneration = 9;

Bytes encoded(const RecordView& record, std::uint64_t place) {
  Bytes slot(slot_bytes(record));
  encode_slot(slot, record, place);
  return slot;
}

void expect_same(const RecordView& a, const RecordView& b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.end, b.end);
}

TEST(SlotBody, TheUpperHalfOfTheChecksumIsCompared) {
  Bytes slot(64);
  const std::uint32_t upper = encode_slot(slot, {"key", "value", 2}, 5);
  EXPECT_TRUE(decode_slot(slot, 5));
  EXPECT_TRUE(decode_slot(slot, 5, upper));
  for (std::uint32_t bit = 0; bit < 32; ++bit)
    EXPECT_FALSE(decode_slot(slot, 5, upper ^ 1U << bit));
}

TEST(ReadWord, HasItsFormat) {
  const ReadWord w{true, false, 0x1234, 0xdeadbeef};
  EXPECT_EQ(w.pack(), 0xdeadbeef12340001ULL);
  EXPECT_EQ((ReadWord{false, true, 0xffff, 1}).pack(), 0x00000001ffff0100ULL);
  // Filler and server store single bytes of the word.
  Bytes word(8);
  store(word.data() + ReadWord::kVisibleByte, std::uint8_t{1});
  EXPECT_EQ(load<std::uint64_t>(word.data()), (ReadWord{true, false, 0, 0}).pack());
  store(word.data() + ReadWord::kCompleteByte, std::uint8_t{1});
  EXPECT_EQ(load<std::uint64_t>(word.data()), (ReadWord{true, true, 0, 0}).pack());
}

// With the lower half, which is in the body: whatever the access clock can be.
TEST(ReadWord, TellsWhenTheSlotWasFilled) {
  EXPECT_EQ((ReadWord{true, true, 0x1234, 0xdeadbeef, 0x3a110000}).pack(), 0xdeadbeef12344c3bULL)
      << "0x3a11 is 58 * 255 + 75";
  constexpr std::uint32_t kUpper = kClockRound >> 16;
  for (std::uint32_t upper = 0; upper < kUpper; ++upper) {
    const ReadWord w{true, true, 5, 6, upper << 16};
    EXPECT_EQ(ReadWord::unpack(w.pack()).filled, upper << 16);
    // As a filler writes it.
    Bytes word(8);
    store(word.data(), (ReadWord{true, false, 5, 6, upper << 16}).pack());
    EXPECT_TRUE(ReadWord::unpack(load<std::uint64_t>(word.data())).filling());
    store(word.data() + ReadWord::kCompleteByte, ReadWord::complete_at(upper << 16 | 0xffff));
    EXPECT_EQ(load<std::uint64_t>(word.data()), w.pack());
    EXPECT_TRUE(ReadWord::unpack(w.pack()).valid());
  }
}

TEST(ReadWord, HasFourStates) {
  struct Case {
    bool visible, complete, free, filling, valid, incomplete;
  };
  for (const Case& c :
       {Case{false, true, true, false, false, false}, Case{true, false, false, true, false, true},
        Case{true, true, false, false, true, false},
        Case{false, false, false, false, false, true}}) {
    const ReadWord w = ReadWord::unpack((ReadWord{c.visible, c.complete, 5, 6}).pack());
    EXPECT_EQ(w.free(), c.free);
    EXPECT_EQ(w.filling(), c.filling);
    EXPECT_EQ(w.valid(), c.valid);
    EXPECT_EQ(w.incomplete(), c.incomplete);
    EXPECT_EQ(w.generation, 5);
    EXPECT_EQ(w.tag, 6U);
  }
}

TEST(WriteWord, HasItsFormat) {
  EXPECT_EQ((WriteWord{WriteState::dirty, 0x1234, 0xdeadbeef}).pack(), 0xdeadbeef12340002ULL);
  EXPECT_EQ((WriteWord{}).pack(), 0U);  // a zeroed region is empty
  for (WriteState s :
       {WriteState::empty, WriteState::locked, WriteState::dirty, WriteState::clean}) {
    const WriteWord w = WriteWord::unpack((WriteWord{s, 0xffff, 0x80000001}).pack());
    EXPECT_EQ(w.state, s);
    EXPECT_EQ(w.generation, 0xffff);
    EXPECT_EQ(w.tag, 0x80000001);
    EXPECT_EQ(w.readable(), s == WriteState::dirty || s == WriteState::clean);
  }
}

TEST(Slot, HasItsFormat) {
  const Bytes slot = encoded({"key", "value!", 0x0102030405, Kind::value}, slot_place(1, 2, 3));
  EXPECT_EQ(hex(slot),
            "465e9aaa"          // checksum
            "050403020100"      // version
            "03"                // key length
            "00"                // kind
            "06000000"          // value length
            "6b6579"            // key
            "76616c756521"      // value
            "00000000000000");  // to a multiple of 8
  const Bytes tombstone = encoded({"k", "", 7, Kind::tombstone}, slot_place(1, 2, 3));
  EXPECT_EQ(hex(tombstone),
            "7e07a55d"
            "070000000000"
            "01"
            "01"
            "00000000"
            "6b"
            "00000000000000");
}

TEST(Slot, HasItsFormatWithAnEndAndAPointer) {
  const Bytes ends = encoded({"k", "v", 7, Kind::value, 0x0102030405060708}, slot_place(1, 2, 3));
  EXPECT_EQ(hex(ends),
            "0945cd64"
            "070000000000"
            "01"
            "80"                // value, with an end
            "01000000"          //
            "0807060504030201"  // end
            "6b76"
            "000000000000");
  const Bytes points =
      encoded({"k", std::string(kPointerSize, 'p'), 7, Kind::pointer, 9}, slot_place(1, 2, 3));
  EXPECT_EQ(hex(ByteView(points).first(25)),
            "47b19848"
            "070000000000"
            "01"
            "82"                // pointer, with an end
            "1c000000"          //
            "0900000000000000"  // end
            "6b");
}

TEST(Slot, SizesOfTheDesign) {
  EXPECT_EQ(slot_size_for(80), 96U);
  EXPECT_EQ(slot_size_for(81), 104U);
  EXPECT_EQ(slot_bytes({std::string(16, 'k'), std::string(64, 'v')}), 96U);
}

TEST(Slot, RoundTripsAtEverySize) {
  std::mt19937_64 random(1);
  const std::uint64_t place = slot_place(kBlock, kSlot, kGeneration);
  auto check = [&](std::size_t key_size, std::size_t value_size) {
    const std::string key = random_text(random, key_size), value = random_text(random, value_size);
    const RecordView record{key, value, random() & kMaxVersion,
                            value_size == 0              ? Kind::tombstone
                            : value_size == kPointerSize ? Kind::pointer
                                                         : Kind::value,
                            value_size % 2};
    const Bytes slot = encoded(record, place);  // of the exact size, so that an overrun is one
    auto found = decode_slot(slot, place);
    ASSERT_TRUE(found) << key_size << " + " << value_size;
    expect_same(*found, record);
  };
  for (std::size_t key : {1, 2, 15, 16, 17, 254, 255}) {
    for (std::size_t value = 0; value < 70; ++value) check(key, value);
    for (std::size_t value : {255, 256, 1024, 32000, 65534, 65535}) check(key, value);
  }
}

TEST(Slot, HoldsTheLargestVersion) {
  const RecordView record{"k", "v", kMaxVersion, Kind::value};
  const Bytes slot = encoded(record, 1);
  auto found = decode_slot(slot, 1);
  ASSERT_TRUE(found);
  expect_same(*found, record);
}

// The rest of a slot keeps what an earlier, longer record left there.
TEST(Slot, IgnoresWhatFollows) {
  Bytes slot(96, std::byte{0xff});
  encode_slot(slot, {"a long key of this", "and a long value", 1}, 5);
  encode_slot(slot, {"key", "value", 2}, 5);
  auto found = decode_slot(slot, 5);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->value, "value");
}

TEST(Slot, EverySingleBitFlipIsDetected) {
  const std::uint64_t place = slot_place(kBlock, kSlot, kGeneration);
  const std::string key(16, 'k'), value(61, 'v');
  const Bytes good = encoded({key, value, 123456, Kind::value}, place);
  const std::size_t used = kSlotHeader + key.size() + value.size();
  for (std::size_t bit = 0; bit < used * 8; ++bit) {
    Bytes bad = good;
    flip(bad, bit);
    EXPECT_FALSE(decode_slot(bad, place)) << "bit " << bit;
  }
}

TEST(Slot, EveryTearBetweenTwoBodiesIsDetected) {
  const std::uint64_t place = slot_place(kBlock, kSlot, kGeneration);
  const Bytes was = encoded({"0123456789abcdef", std::string(64, 'a'), 1}, place);
  const Bytes is = encoded({"0123456789abcdef", std::string(64, 'b'), 2}, place);
  const std::size_t words = was.size() / 8;
  int tears = 0;
  for (std::size_t first = 0; first < words; ++first) {
    for (std::size_t last = first + 1; last <= words; ++last) {
      Bytes torn = was;
      std::copy(is.begin() + first * 8, is.begin() + last * 8, torn.begin() + first * 8);
      if (torn == was || torn == is) continue;  // words that both have
      ++tears;
      EXPECT_FALSE(decode_slot(torn, place)) << first << " to " << last;
    }
  }
  EXPECT_GT(tears, 50);
}

TEST(Slot, IsRejectedAtAnotherPlace) {
  const Bytes slot = encoded({"key", "value", 1}, slot_place(kBlock, kSlot, kGeneration));
  EXPECT_TRUE(decode_slot(slot, slot_place(kBlock, kSlot, kGeneration)));
  EXPECT_FALSE(decode_slot(slot, slot_place(kBlock + 1, kSlot, kGeneration)));
  for (std::uint32_t s = 0; s < RegionGeometry::kMaxSlots; ++s) {
    if (s != kSlot) {
      EXPECT_FALSE(decode_slot(slot, slot_place(kBlock, s, kGeneration)));
    }
  }
  for (std::uint32_t g = 0; g <= 0xffff; ++g) {
    if (g != kGeneration) {
      EXPECT_FALSE(decode_slot(slot, slot_place(kBlock, kSlot, static_cast<std::uint16_t>(g))))
          << g;
    }
  }
}

TEST(Slot, SaysHowMuchOfItIsUsed) {
  for (const std::size_t size : {0, 1, 12, 13, 60}) {
    const std::string value(size, 'v');
    for (const std::uint64_t end : {0U, 9U}) {
      const RecordView record{"key", value, 1, Kind::value, end};
      Bytes slot(96);
      encode_slot(slot, record, 5);
      EXPECT_EQ(stored_bytes(slot.data(), 96), slot_bytes(record));
      // What is behind it counts for nothing.
      EXPECT_TRUE(decode_slot(ByteView(slot).first(slot_bytes(record)), 5));
    }
  }
  EXPECT_EQ(stored_bytes(Bytes(16).data(), 80), kSlotHeader);
  EXPECT_EQ(stored_bytes(Bytes(16, std::byte{0xff}).data(), 80), 80U);
}

TEST(Slot, MayBeReadByItsWord) {
  constexpr std::uint32_t kTag = 7;
  const RegionGeometry g{1, 16, 8, 96};
  for (std::uint32_t slot = 0; slot < g.slots(); ++slot) {
    for (const std::uint32_t tag : {kTag, kTag + 1}) {
      for (int state = 0; state < 4; ++state) {
        Bytes header(g.header_end());
        bool may = state == 3;
        if (slot < g.read_slots) {
          store(header.data() + g.read_word(slot),
                ReadWord{(state & 1) != 0, (state & 2) != 0, 1, tag}.pack());
        } else {
          may = state == 2 || state == 3;
          store(header.data() + g.write_word(slot - g.read_slots),
                WriteWord{static_cast<WriteState>(state), 1, tag}.pack());
        }
        EXPECT_EQ(readable_slots(g, header.data(), kTag),
                  may && tag == kTag ? SlotSet{1} << slot : 0);
      }
    }
  }
}

TEST(Slot, EmptyAndRandomBytesAreNoRecord) {
  std::mt19937_64 random(2);
  for (std::uint32_t size : {24, 96, 256}) {
    EXPECT_FALSE(decode_slot(Bytes(size), 1));
    for (int i = 0; i < 20'000; ++i) {
      Bytes slot = random_bytes(random, size);
      if (i % 2 == 0) {  // lengths that could be
        store(slot.data() + 10, static_cast<std::uint8_t>(1 + random() % size));
        store(slot.data() + 12, static_cast<std::uint32_t>(random() % size));
      }
      EXPECT_FALSE(decode_slot(slot, 1));
    }
  }
}

// What no writer makes is not readable, even with a right checksum.
TEST(Slot, WhatCannotBeIsNotReadable) {
  const auto readable = [](const RecordView& record, std::uint8_t kind) {
    Bytes slot = encoded(record, 5);
    store(slot.data() + 11, kind);
    const std::size_t used = kSlotHeader + payload_size(record);
    store(slot.data(),
          static_cast<std::uint32_t>(checksum(ByteView(slot).subspan(4, used - 4), 5)));
    return decode_slot(slot, 5).has_value();
  };
  const RecordView value{"key", "value", 1}, ends{"key", "value", 1, Kind::value, 9};
  EXPECT_TRUE(readable(value, 0));
  EXPECT_TRUE(readable(ends, 0x80));
  for (int kind : {1, 2, 3, 127, 0x81, 0x82, 0xff}) {
    EXPECT_FALSE(readable(value, static_cast<std::uint8_t>(kind))) << kind;
    EXPECT_FALSE(readable(ends, static_cast<std::uint8_t>(kind))) << kind;
  }
  const std::string bytes(kPointerSize, 'p');
  EXPECT_TRUE(readable({"key", bytes, 1}, 2));
  EXPECT_TRUE(readable({"key", "", 1}, 1));
  EXPECT_FALSE(readable({"key", "", 1, Kind::value, 9}, 0x81));  // a tombstone that ends
}

TEST(Slot, AnEndOfZeroIsNone) {
  Bytes slot = encoded({"key", "value", 1, Kind::value, 9}, 5);
  store(slot.data() + kSlotHeader, std::uint64_t{0});
  store(slot.data(), static_cast<std::uint32_t>(checksum(ByteView(slot).subspan(4, 12 + 16), 5)));
  EXPECT_FALSE(decode_slot(slot, 5));
}

}  // namespace
}  // namespace scalio::layout
