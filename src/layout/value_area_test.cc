#include "layout/value_area.h"

#include <gtest/gtest.h>

#include <string>

#include "base/hash.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

SsdGeometry geometry() {
  SsdGeometry base;
  base.uuid[0] = 9;
  base.value_size = 5 << 20;
  base.segment_size = 1 << 20;
  Result<SsdGeometry> g = plan_ssd(base, 16 << 20, 1 << 20);
  SCALIO_ASSERT(g.ok());
  return *g;
}
const SsdGeometry kSsd = geometry();
constexpr std::uint64_t kFirst = (2 << 20) + kSegmentHeader;  // in segment 2

Bytes encoded(const Pointer& p) {
  Bytes out(kPointerSize);
  encode(out, p);
  return out;
}

TEST(Pointer, HasItsFormat) {
  const Pointer p{kFirst, 0x0102030405060708, 0x0a0b0c, 0x1112131415161718};
  EXPECT_EQ(hex(encoded(p)),
            "0010200000000000"  // offset
            "0807060504030201"  // segment sequence
            "1817161514131211"  // checksum
            "0c0b0a00");        // length
  EXPECT_EQ(decode_pointer(encoded(p), 16, kSsd), p);
}

TEST(Pointer, OfAPlaceThatCannotBeIsNone) {
  const auto ok = [](std::uint64_t offset, std::uint64_t sequence, std::uint32_t length,
                     std::size_t key = 16) {
    return decode_pointer(encoded({offset, sequence, length, 0}), key, kSsd).has_value();
  };
  EXPECT_TRUE(ok(kFirst, 1, 1));
  EXPECT_FALSE(ok(kFirst, 0, 1));
  EXPECT_FALSE(ok(kFirst, 1, 0));
  EXPECT_FALSE(ok(kFirst, 1, kMaxValue + 1));
  EXPECT_FALSE(ok(kFirst + 1, 1, 1));
  EXPECT_TRUE(ok(kFirst + 512, 1, 1));
  EXPECT_FALSE(ok(kFirst - 512, 1, 1)) << "the segment's header";
  EXPECT_FALSE(ok(kSegmentHeader, 1, 1)) << "segment 0 has the table";
  EXPECT_FALSE(ok(kSsd.value_size, 1, 1));
  EXPECT_FALSE(ok(~0ULL - 511, 1, 1));
  EXPECT_TRUE(ok((3 << 20) - 512, 1, 512 - kPartHeader - 16));
  EXPECT_FALSE(ok((3 << 20) - 512, 1, 512 - kPartHeader - 15)) << "over the segment's end";
  // As much as a segment holds.
  std::uint32_t most = 900'000;
  while (stored_size(most + 1, 16, 512) <= (1 << 20) - kSegmentHeader) ++most;
  EXPECT_TRUE(ok(kFirst, 1, most));
  EXPECT_FALSE(ok(kFirst, 1, most + 1));
  EXPECT_FALSE(ok(kFirst, 1, most, 255)) << "a longer key takes more";
  const Bytes good = encoded({kFirst, 1, 1, 0});
  for (std::size_t size = 0; size < kPointerSize; ++size)
    EXPECT_FALSE(decode_pointer(ByteView(good).first(size), 16, kSsd));
  SsdGeometry none = kSsd;
  none.value_size = none.segment_size = 0;
  EXPECT_FALSE(decode_pointer(encoded({kFirst, 1, 1, 0}), 16, none));
}

TEST(ValuePart, SizesAddUp) {
  for (std::size_t key : {std::size_t{1}, std::size_t{16}, kMaxKey}) {
    const std::uint32_t capacity = part_capacity(key);
    EXPECT_EQ(kPartHeader + key + capacity, kPartSize);
    EXPECT_EQ(parts_of(1, key), 1U);
    EXPECT_EQ(parts_of(capacity, key), 1U);
    EXPECT_EQ(parts_of(capacity + 1, key), 2U);
    EXPECT_EQ(stored_size(capacity, key, 512), kPartSize);
    EXPECT_EQ(stored_size(capacity + 1, key, 512), kPartSize + 512U);
    EXPECT_EQ(stored_size(1, key, 4096), 4096U);
    EXPECT_LE(stored_size(kMaxValue, key, 4096) + kSegmentHeader, kMaxSegment);
  }
}

Bytes encoded_part(const ValuePart& part, std::uint64_t offset, std::uint64_t* sum = nullptr) {
  Bytes out(part_bytes(part, kSsd.block_size), std::byte{0xee});
  const std::uint64_t checksum = encode(out, part, offset, kSsd);
  if (sum) *sum = checksum;
  return out;
}

TEST(ValuePart, HasItsFormat) {
  const Bytes b = encoded_part({5, 0x0102030405, 0, 5, "key", as_bytes("value")}, kFirst);
  ASSERT_EQ(b.size(), 512U);
  EXPECT_EQ(hex(ByteView(b).first(48)),
            "06757b8f9c61abce"
            "0500000000000000"    // segment sequence
            "0504030201000300"    // version, key length
            "00000000"            // index
            "05000000"            // length of the value
            "05000000"            // bytes
            "00000000"            //
            "6b657976616c7565");  // key, bytes
  for (const std::byte p : ByteView(b).subspan(48)) EXPECT_EQ(p, std::byte{0});
}

TEST(ValuePart, AValueRoundTripsInParts) {
  std::mt19937_64 random(1);
  for (std::size_t key_size : {1, 16, 255}) {
    for (std::uint32_t length : {1U, 512U, 65'000U, 65'536U, 200'000U}) {
      const std::string key = random_text(random, key_size);
      const Bytes value = random_bytes(random, length);
      std::uint64_t offset = kFirst;
      std::size_t from = 0;
      std::vector<std::uint64_t> sums;
      for (std::uint32_t i = 0; i < parts_of(length, key_size); ++i) {
        const ByteView bytes = ByteView(value).subspan(
            from, std::min<std::size_t>(part_capacity(key_size), length - from));
        std::uint64_t sum = 0;
        const Bytes part = encoded_part({5, 6, i, length, key, bytes}, offset, &sum);
        auto found = decode_part(part, offset, kSsd);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->checksum, sum);
        EXPECT_EQ(found->part.sequence, 5U);
        EXPECT_EQ(found->part.version, 6U);
        EXPECT_EQ(found->part.index, i);
        EXPECT_EQ(found->part.length, length);
        EXPECT_EQ(found->part.key, key);
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), found->part.bytes.begin(),
                               found->part.bytes.end()));
        EXPECT_FALSE(decode_part(part, offset + 512, kSsd)) << "at another place";
        sums.push_back(sum);
        offset += part.size();
        from += bytes.size();
      }
      EXPECT_EQ(offset - kFirst, stored_size(length, key_size, 512));
      const std::uint64_t all = checksum_of_parts(sums, 6);
      EXPECT_NE(all, checksum_of_parts(sums, 7));
      sums.back() ^= 1;
      EXPECT_NE(all, checksum_of_parts(sums, 6));
    }
  }
}

TEST(ValuePart, EverySingleBitFlipIsDetected) {
  const Bytes good = encoded_part({5, 6, 0, 90, "key", Bytes(90, std::byte{7})}, kFirst);
  for (std::size_t bit = 0; bit < (kPartHeader + 3 + 90) * 8; ++bit) {
    Bytes bad = good;
    flip(bad, bit);
    EXPECT_FALSE(decode_part(bad, kFirst, kSsd)) << bit;
  }
  for (std::size_t size = 0; size < kPartHeader + 3 + 90; ++size)
    EXPECT_FALSE(
        decode_part(Bytes(good.begin(), good.begin() + static_cast<long>(size)), kFirst, kSsd));
}

TEST(ValuePart, ContradictionsUnderARightChecksumAreNone) {
  const Bytes good = encoded_part({5, 6, 0, 90, "key", Bytes(90, std::byte{7})}, kFirst);
  const auto decodes = [&](std::size_t at, auto value, std::size_t used = kPartHeader + 3 + 90) {
    Bytes b = good;
    store(b.data() + at, value);
    // As docs/formats.md says.
    store(b.data(), checksum(ByteView(b).subspan(8, used - 8),
                             mix(kSsd.store_id() ^ mix(kFirst + 0x50415254))));
    return decode_part(b, kFirst, kSsd).has_value();
  };
  EXPECT_TRUE(decodes(24, std::uint32_t{0}));
  EXPECT_TRUE(decodes(8, std::uint64_t{9}));
  EXPECT_FALSE(decodes(8, std::uint64_t{0}));
  EXPECT_FALSE(decodes(24, std::uint32_t{1}));
  EXPECT_FALSE(decodes(28, std::uint32_t{91}));
  EXPECT_FALSE(decodes(28, kMaxValue + 1));
  EXPECT_FALSE(decodes(28, std::uint32_t{0}));
  EXPECT_FALSE(decodes(32, std::uint32_t{89}, kPartHeader + 3 + 89));
  EXPECT_FALSE(decodes(32, std::uint32_t{0xffffffff}));
  EXPECT_FALSE(decodes(22, std::uint8_t{0}, kPartHeader + 90)) << "without a key";
}

TEST(ValuePart, ItsHeadIsReadWithoutTheRest) {
  const std::string key(kMaxKey, 'k');
  const Bytes value(70'000, std::byte{7});
  const Bytes first =
      encoded_part({5, 6, 0, 70'000, key, ByteView(value).first(part_capacity(kMaxKey))}, kFirst);
  const auto head = decode_part_head(ByteView(first).first(kPartHead));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->sequence, 5U);
  EXPECT_EQ(head->version, 6U);
  EXPECT_EQ(head->index, 0U);
  EXPECT_EQ(head->length, 70'000U);
  EXPECT_EQ(head->key, key);
  EXPECT_TRUE(head->bytes.empty());
  for (std::size_t size = 0; size < kPartHead; ++size)
    ASSERT_FALSE(decode_part_head(ByteView(first).first(size))) << size;
}

TEST(Segment, HasItsFormat) {
  Bytes b(kSegmentHeader, std::byte{0xee});
  encode(b, SegmentHeader{3, 0x0102}, kSsd);
  EXPECT_EQ(hex(ByteView(b).first(32)),
            "7ffac96eb0b2d89c"
            "214c6b70d13b5af0"
            "0201000000000000"  // sequence
            "0300000000000000");
  for (const std::byte p : ByteView(b).subspan(28)) EXPECT_EQ(p, std::byte{0});
  auto found = decode_segment_header(b, 3, kSsd);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->sequence, 0x0102U);
  EXPECT_FALSE(decode_segment_header(b, 4, kSsd));
  EXPECT_FALSE(decode_segment_header(Bytes(kSegmentHeader), 3, kSsd));
  EXPECT_FALSE(decode_segment_header(ByteView(b).first(kSegmentHeader - 1), 3, kSsd));
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    Bytes bad = b;
    flip(bad, bit);
    EXPECT_FALSE(decode_segment_header(bad, 3, kSsd)) << bit;
  }
}

TEST(SegmentTable, HasItsFormat) {
  SegmentTable t{7, 0x0102, {{1, 2}, {0, 0}, {3, 4}, {5, 0x0a0b}}};
  Bytes b;
  encode(b, t, kSsd);
  ASSERT_EQ(b.size(), kTableHeader + 4 * kTableEntry);
  EXPECT_EQ(hex(ByteView(b).first(40)),
            "74a846d94da7257a"
            "214c6b70d13b5af0"
            "0700000000000000"  // written
            "0201000000000000"  // LSN
            "0400000000000000");
  EXPECT_EQ(hex(ByteView(b).subspan(kTableHeader + 3 * kTableEntry)),
            "0500000000000000"
            "0b0a000000000000");
  auto found = decode_segment_table(b, kSsd);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->written, 7U);
  EXPECT_EQ(found->lsn, 0x0102U);
  EXPECT_EQ(found->entries, t.entries);
  for (std::size_t bit = 0; bit < b.size() * 8; ++bit) {
    Bytes bad = b;
    flip(bad, bit);
    EXPECT_FALSE(decode_segment_table(bad, kSsd)) << bit;
  }
  t.entries[0].live = kFreeSegment;
  Bytes free;
  encode(free, t, kSsd);
  EXPECT_EQ(hex(ByteView(free).subspan(kTableHeader, kTableEntry)),
            "0100000000000000"
            "ffffffffffffffff");
  ASSERT_TRUE(decode_segment_table(free, kSsd));
  EXPECT_EQ(decode_segment_table(free, kSsd)->entries, t.entries);
  t.entries[0].sequence = 0;  // what was never filled is not free again
  Bytes never;
  encode(never, t, kSsd);
  EXPECT_FALSE(decode_segment_table(never, kSsd));
  t.entries[0] = {1, kSsd.segment_size};  // more than there is room for
  Bytes more;
  encode(more, t, kSsd);
  EXPECT_FALSE(decode_segment_table(more, kSsd));
  EXPECT_LE(kTableHeader + max_segments(kSsd) * kTableEntry, kSsd.segment_size / 2);
}

TEST(SegmentCount, HasItsFormat) {
  const std::vector<SegmentCount> counts = {{1, 2, 0x0304}, {4, 5, 0}, {3, 6, kFreeSegment}};
  Bytes b;
  encode(b, counts);
  EXPECT_EQ(hex(b),
            "01000000"
            "0200000000000000"
            "0403000000000000"
            "04000000"
            "0500000000000000"
            "0000000000000000"
            "03000000"
            "0600000000000000"
            "ffffffffffffffff");
  EXPECT_EQ(decode_segment_counts(b, kSsd), counts);
  EXPECT_FALSE(decode_segment_counts({}, kSsd));
  EXPECT_FALSE(decode_segment_counts(ByteView(b).first(39), kSsd));
  for (const SegmentCount& bad : {SegmentCount{0, 1, 1}, SegmentCount{5, 1, 1},
                                  SegmentCount{1, 0, 1}, SegmentCount{1, 1, 1 << 20}}) {
    Bytes bytes;
    encode(bytes, std::vector<SegmentCount>{bad});
    EXPECT_FALSE(decode_segment_counts(bytes, kSsd));
  }
}

}  // namespace
}  // namespace scalio::layout
