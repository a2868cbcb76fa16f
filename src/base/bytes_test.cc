#include "base/bytes.h"

#include <gtest/gtest.h>

namespace scalio {
namespace {

TEST(Bytes, IntegersAreLittleEndianWhereverTheyStand) {
  std::byte b[9] = {};
  store<std::uint64_t>(b + 1, 0x0807060504030201);
  EXPECT_EQ(b[0], std::byte{0});
  EXPECT_EQ(b[1], std::byte{1});
  EXPECT_EQ(b[8], std::byte{8});
  EXPECT_EQ(load<std::uint64_t>(b + 1), 0x0807060504030201u);
  EXPECT_EQ(load<std::uint16_t>(b + 3), 0x0403u);
}

TEST(Bytes, RoundUp) {
  EXPECT_EQ(round_up(0, 512), 0u);
  EXPECT_EQ(round_up(1, 512), 512u);
  EXPECT_EQ(round_up(512, 512), 512u);
  EXPECT_EQ(round_up(513, 512), 1024u);
  EXPECT_EQ(round_up(7, 3), 9u);
}

TEST(Bytes, WrittenIsReadBack) {
  Bytes out;
  ByteWriter w(out);
  w.put(std::uint8_t{1});
  w.put(std::int16_t{-2});
  w.put(std::uint64_t{3});
  w.string("four");
  w.string("");
  w.bytes(as_bytes("five"));
  EXPECT_EQ(out.size(), 1u + 2 + 8 + (4 + 4) + 4 + 4);

  ByteReader r(out);
  EXPECT_EQ(r.get<std::uint8_t>(), 1u);
  EXPECT_EQ(r.get<std::int16_t>(), -2);
  EXPECT_EQ(r.get<std::uint64_t>(), 3u);
  EXPECT_EQ(r.string(), "four");
  EXPECT_EQ(r.string(), "");
  EXPECT_FALSE(r.done());
  EXPECT_EQ(r.remaining(), 4u);
  EXPECT_EQ(as_string(r.bytes(4)), "five");
  EXPECT_TRUE(r.done());
}

TEST(ByteReader, PastTheEndEverythingIsZero) {
  const Bytes in{std::byte{1}, std::byte{2}, std::byte{3}};
  ByteReader r(in);
  EXPECT_EQ(r.get<std::uint16_t>(), 0x0201u);
  EXPECT_EQ(r.get<std::uint32_t>(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.get<std::uint8_t>(), 0u);  // though one byte was left
  EXPECT_EQ(r.string(), "");
  EXPECT_FALSE(r.done());
}

TEST(ByteReader, AStringLongerThanTheInputIsRefused) {
  Bytes in;
  ByteWriter w(in);
  w.put(std::uint32_t{0xffffffff});
  w.bytes(as_bytes("short"));
  ByteReader r(in);
  EXPECT_EQ(r.string(), "");
  EXPECT_FALSE(r.ok());
}

TEST(ByteReader, EmptyInputIsDone) {
  ByteReader r({});
  EXPECT_TRUE(r.done());
  EXPECT_EQ(r.get<std::uint8_t>(), 0u);
  EXPECT_FALSE(r.ok());
}

}  // namespace
}  // namespace scalio
