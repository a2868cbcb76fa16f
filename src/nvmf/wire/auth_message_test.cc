#include "nvmf/wire/auth_message.h"

#include <gtest/gtest.h>

#include "testing/command_bytes.h"
#include "testing/test_bytes.h"

namespace scalio::nvmf {
namespace {

using layout::hex;

Bytes counted_bytes(std::size_t size, unsigned first) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(first + i);
  return out;
}

// Each shorter beginning of a message is refused, and one with more behind it is read all the same.
template <class Decode>
void expect_lengths(const Bytes& message, Decode decode) {
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_EQ(decode(ByteView(message).first(size)).code(), Code::invalid) << size;
  Bytes longer = message;
  longer.resize(message.size() + 9, std::byte{0xee});
  EXPECT_TRUE(decode(ByteView(longer)).ok());
}

TEST(AuthMessage, CommandsNameTheProtocolAndTheLength) {
  const NvmeCommand send = make_authentication_send(0x148);
  EXPECT_EQ(bytes_of(send), command_bytes({{0, 0x7f},
                                           {1, 0x40},
                                           {4, 0x05},
                                           {41, 0x01},
                                           {42, 0x01},
                                           {43, 0xe9},
                                           {44, 0x48},
                                           {45, 0x01}}));
  EXPECT_EQ(direction_of(send), Direction::to_controller);
  EXPECT_TRUE(parse_authentication(send).of_nvme);
  EXPECT_EQ(parse_authentication(send).bytes, 0x148U);
  NvmeCommand receive = make_authentication_receive(4096);
  EXPECT_EQ(direction_of(receive), Direction::to_host);
  EXPECT_EQ(receive.nsid, 0x06U);
  EXPECT_EQ(parse_authentication(receive).bytes, 4096U);
  // What is reserved says nothing; another protocol is another one.
  receive.cdw10 |= 0xff;
  EXPECT_TRUE(parse_authentication(receive).of_nvme);
  for (const std::uint32_t bit : {1U << 8, 1U << 16, 1U << 24}) {
    receive.cdw10 ^= bit;
    EXPECT_FALSE(parse_authentication(receive).of_nvme);
    receive.cdw10 ^= bit;
  }
}

TEST(AuthMessage, NegotiateIsReadBack) {
  AuthNegotiate m;
  m.transaction = 0x0201;
  m.hashes = {AuthHash::sha256, AuthHash::sha512};
  m.groups = {DhGroup::none, DhGroup::ffdhe2048, DhGroup::ffdhe8192};
  const Bytes bytes = encode(m);
  EXPECT_EQ(hex(bytes),
            "0000000001020001"
            "01000203"
            "0103" +
                std::string(56, '0') + "000105" + std::string(54, '0'));
  const Result<AuthNegotiate> back = decode_auth_negotiate(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->transaction, 0x0201);
  EXPECT_EQ(back->secure_channel, 0);
  EXPECT_TRUE(back->chap);
  EXPECT_EQ(back->hashes, m.hashes);
  EXPECT_EQ(back->groups, m.groups);
  EXPECT_EQ(back->whole, bytes.size());
  EXPECT_EQ(decode_auth_header(bytes)->message, AuthMessage::negotiate);
  expect_lengths(bytes, decode_auth_negotiate);
}

TEST(AuthMessage, NegotiateMayOfferOtherProtocols) {
  AuthNegotiate none;
  none.chap = false;
  const Bytes empty = encode(none);
  EXPECT_EQ(empty.size(), 8U);
  EXPECT_FALSE(decode_auth_negotiate(empty)->chap);
  // The second of two is the one.
  AuthNegotiate m;
  m.hashes = {AuthHash::sha384};
  const Bytes one = encode(m);
  Bytes two = one;
  two[7] = std::byte{2};
  two[8] = std::byte{9};
  two.insert(two.end(), one.begin() + 8, one.end());
  const Result<AuthNegotiate> back = decode_auth_negotiate(two);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->chap);
  EXPECT_EQ(back->hashes, m.hashes);
  EXPECT_EQ(back->whole, 8U + 2 * 64);
  // More than a descriptor has room for.
  for (const std::size_t at : {10U, 11U}) {
    Bytes many = one;
    many[at] = std::byte{31};
    EXPECT_EQ(decode_auth_negotiate(many).code(), Code::invalid);
  }
}

TEST(AuthMessage, ChallengeIsReadBack) {
  AuthChallenge m;
  m.transaction = 0x0201;
  m.hash = AuthHash::sha256;
  m.group = DhGroup::ffdhe2048;
  m.sequence = 0x06050403;
  m.challenge = counted_bytes(32, 0x10);
  m.public_key = counted_bytes(256, 0);
  const Bytes bytes = encode(m);
  EXPECT_EQ(hex(ByteView(bytes).first(16)),
            "0101000001022000"
            "0101"
            "0001"
            "03040506");
  EXPECT_EQ(bytes.size(), 16U + 32 + 256);
  const Result<AuthChallenge> back = decode_auth_challenge(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->transaction, m.transaction);
  EXPECT_EQ(back->hash, m.hash);
  EXPECT_EQ(back->group, m.group);
  EXPECT_EQ(back->sequence, m.sequence);
  EXPECT_EQ(back->challenge, m.challenge);
  EXPECT_EQ(back->public_key, m.public_key);
  EXPECT_EQ(decode_auth_header(bytes)->message, AuthMessage::challenge);
  expect_lengths(bytes, decode_auth_challenge);
}

TEST(AuthMessage, ReplyIsReadBack) {
  for (const bool asks : {false, true}) {
    AuthReply m;
    m.transaction = 0x0201;
    m.asks = asks;
    m.sequence = asks ? 0x06050403 : 0;
    m.response = counted_bytes(48, 0x10);
    m.challenge = asks ? counted_bytes(48, 0x80) : Bytes(48);
    m.public_key = counted_bytes(384, 0);
    const Bytes bytes = encode(m);
    EXPECT_EQ(hex(ByteView(bytes).first(16)), asks ? "0102000001023000"
                                                     "0100"
                                                     "8001"
                                                     "03040506"
                                                   : "0102000001023000"
                                                     "0000"
                                                     "8001"
                                                     "00000000");
    const Result<AuthReply> back = decode_auth_reply(bytes);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->asks, asks);
    EXPECT_EQ(back->sequence, m.sequence);
    EXPECT_EQ(back->response, m.response);
    EXPECT_EQ(back->challenge, m.challenge);
    EXPECT_EQ(back->public_key, m.public_key);
    EXPECT_EQ(back->whole, bytes.size());
    EXPECT_EQ(decode_auth_header(bytes)->message, AuthMessage::reply);
    expect_lengths(bytes, decode_auth_reply);
  }
}

TEST(AuthMessage, SuccessAndFailureAreReadBack) {
  AuthSuccess1 m;
  m.transaction = 0x0201;
  m.hash_size = 32;
  const Bytes bare = encode(m);
  EXPECT_EQ(hex(bare), "01030000010220000000000000000000");
  EXPECT_FALSE(decode_auth_success1(bare)->response.has_value());
  m.response = counted_bytes(32, 0x40);
  const Bytes bytes = encode(m);
  EXPECT_EQ(hex(ByteView(bytes).first(16)), "01030000010220000100000000000000");
  EXPECT_EQ(decode_auth_success1(bytes)->response, m.response);
  EXPECT_EQ(decode_auth_success1(bytes)->hash_size, 32);
  expect_lengths(bytes, decode_auth_success1);

  EXPECT_EQ(hex(encode_auth_success2(0x0201)), "01040000010200000000000000000000");
  const Bytes failure1 =
      encode_auth_failure(AuthMessage::failure1, 0x0201, AuthFailure::incorrect_payload);
  EXPECT_EQ(hex(failure1), "00f1000001020106");
  EXPECT_EQ(hex(encode_auth_failure(AuthMessage::failure2, 7, AuthFailure::failed)),
            "00f0000007000101");
  EXPECT_EQ(*decode_auth_failure(failure1), AuthFailure::incorrect_payload);
  expect_lengths(failure1, decode_auth_failure);
  EXPECT_EQ(decode_auth_header(failure1)->message, AuthMessage::failure1);
  EXPECT_EQ(decode_auth_header(ByteView(failure1).first(5)).code(), Code::invalid);
}

TEST(AuthMessage, ReasonsHaveNames) {
  EXPECT_EQ(name_of(AuthFailure::failed), "authentication failed");
  EXPECT_EQ(name_of(AuthFailure{9}), "reason 9");
}

}  // namespace
}  // namespace scalio::nvmf
