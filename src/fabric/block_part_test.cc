#include "fabric/block_part.h"

#include <gtest/gtest.h>

#include <random>

#include "fabric/frame.h"
#include "testing/sample_block.h"
#include "testing/test_bytes.h"

namespace scalio::fabric {
namespace {

constexpr std::uint32_t kTag = 77;
const layout::RegionGeometry kBlocks{1, 8, 2, layout::slot_size_for(240)};

Bytes packed(const layout::RegionGeometry& g, ByteView block) {
  Bytes out;
  copy_block_part(g, kTag, block.data(), [&](std::uint32_t offset, std::uint32_t size) {
    const ByteView piece = block.subspan(offset, size);
    out.insert(out.end(), piece.begin(), piece.end());
  });
  Bytes same(out.size());
  pack_block_part(g, kTag, block.data(), same);
  EXPECT_EQ(same, out);
  return out;
}

layout::SampleBlock full_block() {
  layout::SampleBlock block(kBlocks, 0);
  for (std::uint32_t i = 0; i < kBlocks.read_slots; ++i) {
    block.cache(i, kTag + 1 + i, {"another", std::string(200, 'x'), 9}, 0x70000 + i);
  }
  return block;
}

TEST(BlockPart, IsTheHeaderAndWhatIsUsedOfTheBody) {
  layout::SampleBlock block = full_block();
  const layout::RecordView record{"key", "value", 5};
  block.cache(3, kTag, record);
  const Bytes part = packed(kBlocks, block.bytes());
  EXPECT_EQ(part.size(), kBlocks.header_end() + layout::slot_bytes(record));

  const Bytes before(kBlocks.block_size(), std::byte{0xee});
  Bytes read = before;
  ASSERT_TRUE(unpack_block_part(kBlocks, kTag, part, read.data()));
  EXPECT_EQ(std::memcmp(read.data(), block.bytes().data(), kBlocks.header_end()), 0);
  const ByteSpan body = ByteSpan(read).subspan(kBlocks.body(3), kBlocks.slot_size);
  EXPECT_TRUE(layout::decode_slot(body, layout::slot_place(0, 3, 1)));
  // And nothing else.
  std::copy_n(before.begin(), kBlocks.header_end(), read.begin());
  std::copy_n(before.begin(), layout::slot_bytes(record), body.begin());
  EXPECT_EQ(read, before);
}

// A body is as long as its own meta says, with what a record may have beside key and value.
TEST(BlockPart, HasTheWholeOfRecordsWithAnEndOrAPointer) {
  const std::string pointer(layout::kPointerSize, 'p');
  for (const layout::RecordView& record :
       {layout::RecordView{"key", "value", 5, layout::Kind::value, 9},
        layout::RecordView{"key", pointer, 5, layout::Kind::pointer},
        layout::RecordView{"key", pointer, 5, layout::Kind::pointer, 9}}) {
    layout::SampleBlock block = full_block();
    block.cache(3, kTag, record);
    const Bytes part = packed(kBlocks, block.bytes());
    EXPECT_EQ(part.size(), kBlocks.header_end() + layout::slot_bytes(record));
    Bytes read(kBlocks.block_size());
    ASSERT_TRUE(unpack_block_part(kBlocks, kTag, part, read.data()));
    const ByteSpan body = ByteSpan(read).subspan(kBlocks.body(3), kBlocks.slot_size);
    const auto found = layout::decode_slot(body, layout::slot_place(0, 3, 1));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->value, record.value);
    EXPECT_EQ(found->end, record.end);
  }
}

// Of a record of 80 bytes in a store as it is formatted by default.
TEST(BlockPart, AHitIsFewBytesOnTheWire) {
  layout::SampleBlock block = full_block();
  const std::string value(64, 'v');
  block.cache(3, kTag, {"a key of 16 byte", value, 5});
  const std::size_t question = kFrameHeader + kReadBlockPayload;
  EXPECT_EQ(question + kFrameHeader + packed(kBlocks, block.bytes()).size(), 266U);
}

TEST(BlockPart, HasEverySlotOfTheTagThatMayBeRead) {
  layout::SampleBlock block = full_block();
  const layout::RecordView record{"key", "value", 5};
  block.cache(0, kTag, record);
  block.publish(1, kTag, record);
  EXPECT_EQ(packed(kBlocks, block.bytes()).size(),
            kBlocks.header_end() + 2 * layout::slot_bytes(record));
  // Not those that are being filled or published, or were killed.
  store(block.bytes().data() + kBlocks.read_word(0), layout::ReadWord{true, false, 1, kTag}.pack());
  store(block.bytes().data() + kBlocks.read_word(1), layout::ReadWord{false, true, 1, kTag}.pack());
  EXPECT_EQ(packed(kBlocks, block.bytes()).size(),
            kBlocks.header_end() + layout::slot_bytes(record));
  store(block.bytes().data() + kBlocks.write_word(1),
        layout::WriteWord{layout::WriteState::locked, 1, kTag}.pack());
  EXPECT_EQ(packed(kBlocks, block.bytes()).size(), kBlocks.header_end() + 2 * kBlocks.read_slots);
}

TEST(BlockPart, WithoutASlotOfTheTagSaysWhenEachWasFilled) {
  layout::SampleBlock block = full_block();
  const Bytes part = packed(kBlocks, block.bytes());
  EXPECT_EQ(part.size(), kBlocks.header_end() + 2 * kBlocks.read_slots);
  Bytes read(kBlocks.block_size());
  ASSERT_TRUE(unpack_block_part(kBlocks, kTag, part, read.data()));
  for (std::uint32_t i = 0; i < kBlocks.read_slots; ++i) {
    EXPECT_EQ(layout::slot_filled(ByteView(read).subspan(kBlocks.body(i))), i);
  }
}

// Whatever is in the block: clients write there.
TEST(BlockPart, IsWithinTheBlockWhateverThatSays) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const layout::RegionGeometry g{1, static_cast<std::uint32_t>(random() % 16 + 1),
                                   static_cast<std::uint32_t>(random() % 8 + 1),
                                   static_cast<std::uint32_t>(random() % 40 * 8 + 16)};
    Bytes block = layout::random_bytes(random, g.block_size());
    for (std::uint32_t slot = 0; slot < g.read_slots; ++slot) {
      if (random() % 2 == 0) store(block.data() + g.read_word(slot) + 4, kTag);
    }
    copy_block_part(g, kTag, block.data(), [&](std::uint32_t offset, std::uint32_t size) {
      EXPECT_LE(std::uint64_t{offset} + size, g.block_size());
    });
    const Bytes part = packed(g, block);
    Bytes read(g.block_size());
    EXPECT_TRUE(unpack_block_part(g, kTag, part, read.data()));
    EXPECT_EQ(packed(g, read), part);
  }
}

TEST(BlockPart, OfAnotherLengthIsNone) {
  layout::SampleBlock block = full_block();
  for (const bool there : {false, true}) {
    if (there) block.cache(3, kTag, {"key", "value", 5});
    Bytes part = packed(kBlocks, block.bytes());
    Bytes read(kBlocks.block_size());
    for (std::size_t n = 0; n < part.size(); ++n) {
      EXPECT_FALSE(unpack_block_part(kBlocks, kTag, ByteView(part).first(n), read.data())) << n;
    }
    part.push_back(std::byte{0});
    EXPECT_FALSE(unpack_block_part(kBlocks, kTag, part, read.data()));
  }
}

}  // namespace
}  // namespace scalio::fabric
