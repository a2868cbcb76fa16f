#include "baseline/ditto/ditto_layout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace scalio::ditto {
namespace {

constexpr DittoGeometry kSmall{.buckets = 8, .segments = 2};

TEST(DittoLayout, HasTheSizesOfTheOriginal) {
  EXPECT_EQ(kBucketSize, 384U);
  EXPECT_EQ(sizeof(SlotMetadata), 40U);
  EXPECT_EQ(kFrequencyAt, 40U);
  EXPECT_EQ(kSmall.bucket_at(1), 64U + 384U);
  EXPECT_EQ(kSmall.data_at(), 4096U);
  EXPECT_EQ(kSmall.size(), 4096U + 2 * 1024 * 1024);
  EXPECT_EQ(kSmall.units(), 8192U);
}

TEST(DittoLayout, AWordIsFingerprintLinesAndPointer) {
  const auto word = SlotWord::object(0xab, 2, kSmall.data_at() + kUnit);
  EXPECT_EQ(word.pack(), 0x1100'02abU);
  const auto read = SlotWord::unpack(word.pack(), kSmall);
  EXPECT_TRUE(read.is_object());
  EXPECT_EQ(read.fingerprint, 0xab);
  EXPECT_EQ(read.bytes(), 128U);
  EXPECT_EQ(read.units(), 1U);
  EXPECT_EQ(read.pointer, kSmall.data_at() + kUnit);
  EXPECT_EQ(SlotWord::unpack(0, kSmall).kind, SlotWord::Kind::empty);
  const auto entry = SlotWord::unpack(SlotWord::history(7, (1ULL << 48) + 5).pack(), kSmall);
  EXPECT_TRUE(entry.is_history());
  EXPECT_EQ(entry.pointer, 5U);
}

TEST(DittoLayout, AWordThatNamesNoPlaceInTheDataIsUnusable) {
  const auto kind = [](std::uint64_t lines, std::uint64_t pointer) {
    return SlotWord::unpack(SlotWord::object(1, lines, pointer).pack(), kSmall).kind;
  };
  EXPECT_EQ(kind(1, kSmall.data_at()), SlotWord::Kind::object);
  EXPECT_EQ(kind(1, 0), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(1, kSmall.data_at() - kUnit), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(1, kSmall.data_at() + 8), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(0, kSmall.data_at()), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(4, kSmall.size() - kUnit), SlotWord::Kind::object);
  EXPECT_EQ(kind(5, kSmall.size() - kUnit), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(1, kSmall.size()), SlotWord::Kind::unusable);
  EXPECT_EQ(kind(1, kPointerMask), SlotWord::Kind::unusable);
}

TEST(DittoLayout, AnyWordIsReadAndWhatIsAnObjectLiesInTheData) {
  Random random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t raw = random.next() & (random.next() | random.next() << 40);
    const auto word = SlotWord::unpack(raw, kSmall);
    EXPECT_EQ(word.pack(), raw);
    if (!word.is_object()) continue;
    EXPECT_GE(word.pointer, kSmall.data_at());
    EXPECT_LE(word.pointer + word.units() * kUnit, kSmall.size());
  }
}

TEST(DittoLayout, AgesOfTheHistoryGoAroundWithItsNumbers) {
  EXPECT_EQ(history_age(5, 3), 2U);
  EXPECT_EQ(history_age((1ULL << 48) + 2, kPointerMask), 3U);
}

TEST(DittoLayout, AnObjectThatContradictsItselfIsNone) {
  Bytes bytes(object_size("key", "value"));
  encode_object(bytes, "key", "value");
  const auto whole = decode_object(bytes);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->key, "key");
  EXPECT_EQ(whole->value, "value");
  EXPECT_FALSE(decode_object(ByteView(bytes).first(bytes.size() - 1)));
  EXPECT_FALSE(decode_object(ByteView(bytes).first(3)));
  store(bytes.data(), std::uint32_t{0xffffffff});
  EXPECT_FALSE(decode_object(bytes));
}

TEST(DittoLayout, AHelloIsChecked) {
  const DittoHello hello{kSmall, 77, {0.25, 0.75}};
  const Bytes bytes = encode_hello(hello);
  const Result<DittoHello> read = decode_hello(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->geometry, kSmall);
  EXPECT_EQ(read->server_now, 77U);
  EXPECT_EQ(read->weights, hello.weights);
  EXPECT_FALSE(decode_hello({}).ok());
  EXPECT_FALSE(decode_hello(ByteView(bytes).first(bytes.size() - 1)).ok());
  EXPECT_FALSE(decode_hello(encode_hello({{3, 1}, 0, {}})).ok());
  EXPECT_FALSE(decode_hello(encode_hello({{8, 0}, 0, {}})).ok());
  EXPECT_FALSE(decode_hello(encode_hello({{1ULL << 60, 1}, 0, {}})).ok());
  EXPECT_FALSE(decode_hello(encode_hello({kSmall, 0, {NAN, 0.5}})).ok());
}

TEST(DittoLayout, MessagesAreChecked) {
  const DittoRequest request{DittoRequestKind::weights, {-0.5, 0}};
  const auto read = decode_request(encode_request(request));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, request.kind);
  EXPECT_EQ(read->penalties, request.penalties);
  EXPECT_TRUE(decode_request(encode_request({})));
  EXPECT_FALSE(decode_request({}));
  EXPECT_FALSE(decode_request(Bytes(8)));
  EXPECT_FALSE(decode_request(encode_request({DittoRequestKind::weights, {0.5, 0}})));
  EXPECT_FALSE(decode_request(encode_request({DittoRequestKind::weights, {-INFINITY, 0}})));

  EXPECT_EQ(decode_segment(encode_segment(0), kSmall), 0U);
  EXPECT_TRUE(decode_segment(encode_segment(kSmall.data_at() + kSegmentSize), kSmall));
  EXPECT_FALSE(decode_segment(encode_segment(kSmall.data_at() + kUnit), kSmall));
  EXPECT_FALSE(decode_segment(encode_segment(kSmall.size()), kSmall));
  EXPECT_FALSE(decode_segment({}, kSmall));
  EXPECT_TRUE(decode_weights(encode_weights({0.5, 0.5})));
  EXPECT_FALSE(decode_weights(encode_weights({NAN, 0.5})));
}

}  // namespace
}  // namespace scalio::ditto
