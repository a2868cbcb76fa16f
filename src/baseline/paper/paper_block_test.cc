#include "baseline/paper/paper_block.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace scalio::paper {
namespace {

using Is = CacheLookup::Is;
using State = BlockWord::State;

class PaperBlockTest : public testing::Test {
 protected:
  void put(std::uint32_t slot, State state, std::string_view key, std::string_view value) {
    const BlockWord w = word_of(state, tag_of(hash), key, value, slot_place(kSeed, kBlockNo, slot));
    store(bytes.data() + shape.word_at(slot), w.pack());
    std::byte* const body = bytes.data() + shape.body_at(slot);
    copy_bytes(as_bytes(value), copy_bytes(as_bytes(key), body));
  }
  CacheLookup look() const { return look_up({shape, bytes}, "key", hash, kBlockNo, kSeed); }

  static constexpr std::uint64_t kSeed = 5, hash = 0x1234567890abcdef;
  static constexpr std::uint32_t kBlockNo = 3;
  const CacheShape shape{.blocks = 10};
  Bytes bytes = Bytes(shape.block_size());
};

TEST_F(PaperBlockTest, HasTheSizeOfThePaper) {
  EXPECT_EQ(shape.block_size(), 720u);
  EXPECT_TRUE(shape.check().ok());
  EXPECT_FALSE((CacheShape{.blocks = 10, .slots = 17}).check().ok());
}

TEST_F(PaperBlockTest, AWordIsUnpackedAsItWasPacked) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t word = random.next();
    EXPECT_EQ(BlockWord::unpack(word).pack(), word);
  }
}

TEST_F(PaperBlockTest, TheDirtyOneWins) {
  EXPECT_EQ(look().is, Is::miss);
  put(4, State::valid, "key", "old");
  ASSERT_EQ(look().is, Is::hit);
  EXPECT_EQ(look().value, "old");
  put(6, State::dirty, "key", "new");
  EXPECT_EQ(look().value, "new");
  put(2, State::dirty, "other", "of the same tag");
  EXPECT_EQ(look().value, "new");
}

TEST_F(PaperBlockTest, WhatIsNotWholeIsNotRead) {
  put(4, State::valid, "key", "value");
  bytes[shape.body_at(4) + 5] ^= std::byte{1};
  EXPECT_EQ(look().is, Is::miss);
  put(5, State::valid, "key", "older");
  put(4, State::dirty, "key", "value");
  bytes[shape.body_at(4) + 5] ^= std::byte{1};
  EXPECT_EQ(look().is, Is::unclear);
  const BlockWord locked{State::dirty, tag_of(hash), 0, 0, 0};
  store(bytes.data() + shape.word_at(4), locked.pack());
  EXPECT_EQ(look().is, Is::unclear);
  // A body that belongs to another slot.
  put(4, State::valid, "key", "value");
  std::copy_n(bytes.begin() + shape.word_at(4), 8, bytes.begin() + shape.word_at(7));
  std::copy_n(bytes.begin() + shape.body_at(4), 8, bytes.begin() + shape.body_at(7));
  store(bytes.data() + shape.word_at(4), std::uint64_t{0});
  store(bytes.data() + shape.word_at(5), std::uint64_t{0});
  EXPECT_EQ(look().is, Is::miss);
}

TEST_F(PaperBlockTest, ForgedWordsLeadNowhere) {
  Random random(2);
  for (int i = 0; i < 10'000; ++i) {
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      BlockWord w = BlockWord::unpack(random.next());
      w.tag = tag_of(hash);
      store(bytes.data() + shape.word_at(slot), w.pack());
    }
    store(bytes.data() + 8, random.next());
    EXPECT_NE(look().is, Is::hit);
    const auto victim = BlockCopy{shape, bytes}.victim();
    EXPECT_TRUE(!victim || *victim < shape.slots);
  }
}

TEST_F(PaperBlockTest, TheLeastRecentlyUsedIsTheVictim) {
  for (std::uint32_t slot = 0; slot < shape.slots; ++slot) put(slot, State::valid, "k", "v");
  std::uint64_t order = 0;
  for (const std::uint32_t slot : {3, 1, 4, 5, 0, 2, 6, 7, 3}) order = used_now(order, slot);
  store(bytes.data() + 8, order);
  EXPECT_EQ(ranked(order, 0), 3u);
  const BlockCopy copy{shape, bytes};
  EXPECT_EQ(copy.victim(), 1u);
  put(1, State::dirty, "k", "v");
  EXPECT_EQ(copy.victim(), 4u);
  store(bytes.data() + shape.word_at(6), std::uint64_t{0});
  EXPECT_EQ(copy.victim(), 6u);
  for (std::uint32_t slot = 0; slot < shape.slots; ++slot) put(slot, State::dirty, "k", "v");
  EXPECT_EQ(copy.victim(), std::nullopt);
}

TEST_F(PaperBlockTest, AnOrderStaysOneWhateverItWas) {
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random.below(kMostSlots));
    EXPECT_EQ(ranked(used_now(random.next(), slot), 0), slot);
  }
  std::uint64_t order = 0;
  for (int i = 0; i < 1000; ++i) {
    order = used_now(order, static_cast<std::uint32_t>(random.below(kMostSlots)));
    std::set<std::uint32_t> all;
    for (std::uint32_t rank = 0; rank < kMostSlots; ++rank) all.insert(ranked(order, rank));
    EXPECT_EQ(all.size(), kMostSlots);
  }
}

TEST_F(PaperBlockTest, AHelloIsDecodedAndChecked) {
  const PaperHello hello{7, 3, PaperGeometry::fit(1 << 26, 1000, 64, 9), shape};
  ASSERT_TRUE(hello.geometry.check(1 << 26).ok());
  const auto decoded = decode_paper_hello(encode(hello));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->geometry, hello.geometry);
  EXPECT_EQ(decoded->shape, shape);
  EXPECT_EQ(decoded->ssd, 3u);
  EXPECT_TRUE(decode_paper_hello_request(encode_paper_hello_request()));
  EXPECT_FALSE(decode_paper_hello_request(Bytes(8)));
  PaperHello bad = hello;
  bad.ssd = 7;
  EXPECT_FALSE(decode_paper_hello(encode(bad)));
  bad = hello;
  bad.geometry.values = 0;
  EXPECT_FALSE(decode_paper_hello(encode(bad)));
  EXPECT_FALSE(decode_paper_hello(Bytes(3)));
}

}  // namespace
}  // namespace scalio::paper
