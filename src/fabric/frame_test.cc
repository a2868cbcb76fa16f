#include "fabric/frame.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace scalio::fabric {
namespace {

Bytes frame_bytes(FrameKind kind, std::uint64_t id, ByteView payload) {
  Bytes out(kFrameHeader);
  put_header(out.data(), kind, id, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

TEST(Frame, ComesBackAsItWasPut) {
  Bytes bytes = frame_bytes(FrameKind::request, 0x1122334455667788, as_bytes("hello"));
  const Bytes second = frame_bytes(FrameKind::write_done, 7, {});
  bytes.insert(bytes.end(), second.begin(), second.end());

  ByteView in = bytes;
  Result<std::optional<Frame>> frame = take_frame(in);
  ASSERT_TRUE(frame.ok() && frame->has_value());
  EXPECT_EQ((*frame)->kind, FrameKind::request);
  EXPECT_EQ((*frame)->id, 0x1122334455667788u);
  EXPECT_EQ(as_string((*frame)->payload), "hello");
  frame = take_frame(in);
  ASSERT_TRUE(frame.ok() && frame->has_value());
  EXPECT_EQ((*frame)->kind, FrameKind::write_done);
  EXPECT_TRUE(in.empty());
}

TEST(Frame, HeaderIsAsDocumented) {
  Bytes bytes(kFrameHeader);
  put_header(bytes.data(), FrameKind::cas, 0x0807060504030201, 24);
  const unsigned char expected[] = {24, 0, 0, 0, 10, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof expected), 0);
}

TEST(Frame, EveryPrefixAsksForMore) {
  const Bytes bytes = frame_bytes(FrameKind::reply, 1, as_bytes("payload"));
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ByteView in(bytes.data(), n);
    const Result<std::optional<Frame>> frame = take_frame(in);
    ASSERT_TRUE(frame.ok()) << n;
    EXPECT_FALSE(frame->has_value()) << n;
    EXPECT_EQ(in.size(), n);
  }
}

TEST(Frame, LimitsOfEveryKindAreEnforced) {
  for (int k = 1; k <= 18; ++k) {
    const auto kind = static_cast<FrameKind>(k);
    Bytes bytes(kFrameHeader);
    put_header(bytes.data(), kind, 0, max_payload(kind));
    ByteView in = bytes;
    EXPECT_TRUE(take_frame(in).ok()) << to_string(kind);
    store(bytes.data(), static_cast<std::uint32_t>(max_payload(kind) + 1));
    in = bytes;
    EXPECT_EQ(take_frame(in).code(), Code::invalid) << to_string(kind);
    EXPECT_LE(max_payload(kind), kMaxPayload);
  }
}

TEST(Frame, UnknownKindsAndPaddingAreRefused) {
  Bytes bytes = frame_bytes(FrameKind::reply, 1, {});
  for (std::size_t at = 4; at < 8; ++at) {
    Bytes bad = bytes;
    bad[at] = std::byte{200};
    ByteView in = bad;
    EXPECT_EQ(take_frame(in).code(), Code::invalid) << at;
  }
  bytes[4] = std::byte{0};
  ByteView in = bytes;
  EXPECT_EQ(take_frame(in).code(), Code::invalid);
}

// Judged when the header is there: the rest need not come.
TEST(Frame, OfGreetingsFourKindsAreTaken) {
  for (int k = 1; k <= 18; ++k) {
    const auto kind = static_cast<FrameKind>(k);
    const bool greeting = kind == FrameKind::hello || kind == FrameKind::login ||
                          kind == FrameKind::proof || kind == FrameKind::close;
    Bytes bytes(kFrameHeader);
    put_header(bytes.data(), kind, 0, max_payload(kind));
    ByteView in = bytes;
    EXPECT_EQ(take_greeting(in).code(), greeting ? Code::ok : Code::invalid) << to_string(kind);
    in = ByteView(bytes).first(kFrameHeader - 1);
    EXPECT_TRUE(take_greeting(in).ok());
    store(bytes.data(), static_cast<std::uint32_t>(max_payload(kind) + 1));
    in = bytes;
    EXPECT_EQ(take_greeting(in).code(), Code::invalid) << to_string(kind);
    EXPECT_TRUE(!greeting || max_payload(kind) <= kMaxText);
  }
}

TEST(Frame, GarbageIsTakenOrRefusedAndNeverReadPastItsEnd) {
  std::mt19937_64 random(1);
  for (int run = 0; run < 20000; ++run) {
    // Exactly as long as it is, so that a sanitizer sees what reads beyond.
    Bytes bytes(random() % 80);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    if (bytes.size() >= kFrameHeader &&
        run % 2 == 0) {  // a plausible header, garbage in the payload
      const auto kind = static_cast<FrameKind>(1 + random() % 18);
      put_header(bytes.data(), kind, random(),
                 std::min<std::size_t>(random() % 64, max_payload(kind)));
    }
    ByteView in = bytes;
    const std::size_t before = in.size();
    const Result<std::optional<Frame>> frame = take_frame(in);
    if (!frame.ok() || !frame->has_value()) {
      EXPECT_EQ(in.size(), before);
      continue;
    }
    EXPECT_EQ(before - in.size(), kFrameHeader + (*frame)->payload.size());
    const Bytes payload((*frame)->payload.begin(), (*frame)->payload.end());
    (void)decode_hello(payload);
    (void)decode_welcome(payload);
    EXPECT_FALSE(decode_refused(payload).ok());
    const Result<ReadFrame> read = decode_read(payload);
    EXPECT_TRUE(!read.ok() || read->size <= kMaxRead);
    const Result<ReadBlockFrame> block = decode_read_block(payload);
    EXPECT_TRUE(!block.ok() || block->shape.block_size() <= kMaxRead);
    (void)decode_write(payload);
    EXPECT_EQ(decode_cas(payload).ok(), payload.size() == kCasPayload);
  }
}

TEST(Frame, HelloComesBackAndForeignOnesAreRefused) {
  const Bytes bytes = encode(Hello{3, as_bytes("who")});
  const Result<Hello> hello = decode_hello(bytes);
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->lane, 3u);
  EXPECT_EQ(as_string(hello->request), "who");
  EXPECT_EQ(load<std::uint32_t>(bytes.data() + 8), 3u);  // 3.0
  EXPECT_EQ(protocol_text(kProtocolVersion), "3.0");

  Bytes foreign = bytes;
  foreign[0] ^= std::byte{1};
  EXPECT_EQ(decode_hello(foreign).code(), Code::invalid);
  for (const std::uint32_t version : {1U, 2U, 4U, 3U | 2U << 16, 2U | 1U << 16}) {
    Bytes other = bytes;
    store(other.data() + 8, version);
    EXPECT_EQ(decode_hello(other).code(), Code::invalid);
    EXPECT_NE(decode_hello(other).status().message().find(protocol_text(version)),
              std::string::npos);
  }
  // The older of the two is to be upgraded.
  for (const auto& [version, who] :
       {std::pair(4U, "upgrade this server"), std::pair(3U | 2U << 16, "upgrade this server"),
        std::pair(2U, "upgrade the client"), std::pair(2U | 1U << 16, "upgrade the client")}) {
    Bytes other = bytes;
    store(other.data() + 8, version);
    EXPECT_TRUE(decode_hello(other).status().message().ends_with(who)) << who;
  }
  // The next minor version is understood.
  Bytes newer = bytes;
  store(newer.data() + 8, 3U | 1U << 16);
  EXPECT_TRUE(decode_hello(newer).ok());
  EXPECT_EQ(decode_hello(ByteView(bytes).first(15)).code(), Code::invalid);
}

TEST(Frame, OtherPayloadsComeBack) {
  const Bytes welcome_bytes = encode(Welcome{1 << 20, 9, as_bytes("answer")});
  const Result<Welcome> welcome = decode_welcome(welcome_bytes);
  ASSERT_TRUE(welcome.ok());
  EXPECT_EQ(welcome->region_size, 1u << 20);
  EXPECT_EQ(welcome->epoch, 9u);
  EXPECT_EQ(as_string(welcome->answer), "answer");

  Bytes read_bytes(kReadPayload);
  encode(ReadFrame{64, 1088}, read_bytes);
  const Result<ReadFrame> read = decode_read(read_bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->offset, 64u);
  EXPECT_EQ(read->size, 1088u);

  Bytes cas_bytes(kCasPayload);
  encode(CasFrame{8, 1, 2}, cas_bytes);
  const Result<CasFrame> cas = decode_cas(cas_bytes);
  ASSERT_TRUE(cas.ok());
  EXPECT_EQ(cas->offset, 8u);
  EXPECT_EQ(cas->expected, 1u);
  EXPECT_EQ(cas->desired, 2u);

  Bytes block_bytes(kReadBlockPayload);
  encode(ReadBlockFrame{1088, 0xdeadbeef, {1, 8, 2, 96}}, block_bytes);
  const unsigned char expected[] = {0x40, 4,    0,    0,  0, 0, 0, 0, 0xef,
                                    0xbe, 0xad, 0xde, 96, 0, 0, 0, 8, 2};
  EXPECT_EQ(std::memcmp(block_bytes.data(), expected, sizeof expected), 0);
  const Result<ReadBlockFrame> block = decode_read_block(block_bytes);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(block->offset, 1088u);
  EXPECT_EQ(block->tag, 0xdeadbeefu);
  EXPECT_EQ(block->shape.block_size(), 1088u);

  const Status refused = decode_refused(encode_refused(Status(Code::busy, "full\n")));
  EXPECT_EQ(refused.code(), Code::busy);
  EXPECT_EQ(refused.message(), "full?");
  EXPECT_EQ(decode_refused(encode_refused(Status(Code::denied, "no"))).code(), Code::denied);
  const Bytes newer{std::byte{14}, std::byte{'?'}};  // a code that nobody knows
  EXPECT_EQ(decode_refused(newer).code(), Code::unavailable);
}

TEST(Frame, BlocksThatCannotBeAreNotRead) {
  const auto decodes = [](std::uint64_t offset, std::uint32_t read_slots, std::uint32_t write_slots,
                          std::uint32_t slot_size) {
    Bytes payload(kReadBlockPayload);
    encode(ReadBlockFrame{offset, 7, {1, read_slots, write_slots, slot_size}}, payload);
    return decode_read_block(payload).ok();
  };
  EXPECT_TRUE(decodes(8, 16, 8, 96));
  EXPECT_TRUE(decodes(0, 1, 1, 16));
  EXPECT_TRUE(decodes(0, 1, 1, (kMaxRead - 64 - 64) / 2));
  EXPECT_FALSE(decodes(0, 1, 1, (kMaxRead - 64 - 64) / 2 + 8)) << "more than is read at once";
  EXPECT_FALSE(decodes(4, 8, 2, 96)) << "words at no multiple of 8";
  EXPECT_FALSE(decodes(0, 0, 2, 96));
  EXPECT_FALSE(decodes(0, 17, 2, 96));
  EXPECT_FALSE(decodes(0, 8, 0, 96));
  EXPECT_FALSE(decodes(0, 8, 9, 96));
  EXPECT_FALSE(decodes(0, 8, 2, 8)) << "no room for a body's header";
  EXPECT_FALSE(decodes(0, 8, 2, 100));
  EXPECT_FALSE(decodes(0, 8, 2, 0xfffffff8)) << "the block's size overflows";
  EXPECT_FALSE(decodes(0, 16, 8, 1U << 29));
  EXPECT_FALSE(decode_read_block(Bytes(kReadBlockPayload - 1)).ok());
  EXPECT_FALSE(decode_read_block(Bytes(kReadBlockPayload + 1)).ok());
}

}  // namespace
}  // namespace scalio::fabric
