#include "nvmf/wire/pdu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {
namespace {

constexpr PduFormat kPlain;
constexpr PduFormat kBoth{true, true, 4};

PduRules rules_for(bool at_host, const PduFormat& format) {
  return {at_host, format, 1 << 20, false};
}

// A whole PDU: what `encode` wrote, the data, and its digest.
Bytes whole(ByteView prefix, ByteView data, const PduFormat& format) {
  Bytes out(prefix.begin(), prefix.end());
  out.insert(out.end(), data.begin(), data.end());
  if (!data.empty() && format.data_digest) ByteWriter(out).put(crc32c(data));
  return out;
}

Bytes c2h(const Transfer& t, std::uint8_t flags, const PduFormat& format) {
  Bytes prefix(kMaxPrefix);
  prefix.resize(encode_data(PduType::c2h_data, t, flags, format, prefix));
  return whole(prefix, Bytes(t.length, std::byte{0x5a}), format);
}

Bytes capsule(std::size_t data, const PduFormat& format) {
  NvmeCommand command = make_io(IoOpcode::write, 1, {8, 1}, false);
  command.cid = 77;
  Bytes prefix(kMaxPrefix);
  prefix.resize(encode_capsule_cmd(command, data, format, prefix));
  return whole(prefix, Bytes(data, std::byte{0x11}), format);
}

PduError error_of(ByteView bytes, const PduRules& rules) {
  const auto looked = look_at(bytes, rules);
  const auto* error = std::get_if<PduError>(&looked);
  EXPECT_NE(error, nullptr);
  return error != nullptr ? *error : PduError{};
}
Pdu pdu_of(ByteView bytes, const PduRules& rules) {
  const auto looked = look_at(bytes, rules);
  const auto* pdu = std::get_if<Pdu>(&looked);
  EXPECT_NE(pdu, nullptr);
  return pdu != nullptr ? *pdu : Pdu{};
}

void expect_field(const PduError& error, std::uint32_t at) {
  EXPECT_EQ(error.error, FatalError::invalid_header_field) << error.what;
  EXPECT_EQ(error.information, at) << error.what;
}

TEST(PduTest, TheDigestIsCrc32c) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);  // the check value of its definition
  EXPECT_EQ(crc32c(Bytes(32)), 0x8a9136aaU);              // RFC 3720, B.4
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0xff})), 0x62a8ab43U);
  EXPECT_EQ(crc32c({}), 0U);
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xe3069283U);
}

TEST(PduTest, IcReqLooksAsTheSpecificationSays) {
  Bytes out(kMaxPrefix);
  ASSERT_EQ(encode(IcReq{0, 8, true, false, 16}, out), 128U);
  Bytes expected(128);
  expected[2] = expected[4] = std::byte{128};
  expected[10] = std::byte{1};
  expected[11] = std::byte{1};
  expected[12] = std::byte{15};
  out.resize(128);
  EXPECT_EQ(out, expected);
  PduRules rules = rules_for(false, kPlain);
  rules.connecting = true;
  const auto m = ic_req_of(pdu_of(out, rules));
  ASSERT_TRUE(std::holds_alternative<IcReq>(m));
  EXPECT_EQ(std::get<IcReq>(m).alignment, 8U);
  EXPECT_TRUE(std::get<IcReq>(m).header_digest);
  EXPECT_FALSE(std::get<IcReq>(m).data_digest);
  EXPECT_EQ(std::get<IcReq>(m).max_r2t, 16U);
}

TEST(PduTest, IcRespIsReadBackAndChecked) {
  Bytes out(kMaxPrefix);
  out.resize(encode(IcResp{0, 128, false, true, 65536}, out));
  PduRules rules = rules_for(true, kPlain);
  rules.connecting = true;
  const auto read = [&](const Bytes& bytes) { return ic_resp_of(pdu_of(bytes, rules)); };
  const auto good = read(out);
  ASSERT_TRUE(std::holds_alternative<IcResp>(good));
  EXPECT_EQ(std::get<IcResp>(good).alignment, 128U);
  EXPECT_TRUE(std::get<IcResp>(good).data_digest);
  EXPECT_EQ(std::get<IcResp>(good).max_h2c_data, 65536U);

  Bytes version = out;
  version[8] = std::byte{1};
  EXPECT_EQ(std::get<PduError>(read(version)).error, FatalError::unsupported_parameter);
  EXPECT_EQ(std::get<PduError>(read(version)).information, 8U);
  Bytes alignment = out;
  alignment[10] = std::byte{32};
  expect_field(std::get<PduError>(read(alignment)), 10);
  for (const std::uint32_t limit : {0U, 4092U, 4098U}) {
    Bytes bad = out;
    store(bad.data() + 12, limit);
    expect_field(std::get<PduError>(read(bad)), 12);
  }
}

TEST(PduTest, CapsulesWithoutDataAreTheirHeader) {
  const Bytes bytes = capsule(0, kPlain);
  ASSERT_EQ(bytes.size(), 72U);
  EXPECT_EQ(load<std::uint32_t>(bytes.data() + 4), 72U);
  const Pdu pdu = pdu_of(bytes, rules_for(false, kPlain));
  EXPECT_EQ(pdu.type, PduType::capsule_cmd);
  EXPECT_EQ(pdu.data_size, 0U);
  EXPECT_EQ(pdu.length, 72U);
  EXPECT_EQ(command_of(pdu).cid, 77);
  EXPECT_EQ(capsule(0, kBoth).size(), 76U);  // no data, no data digest
}

TEST(PduTest, CapsuleDataIsAlignedAndDigested) {
  const PduFormat format{true, true, 64};
  const Bytes bytes = capsule(512, format);
  ASSERT_EQ(bytes.size(), 128U + 512 + 4);
  const Pdu pdu = pdu_of(bytes, rules_for(false, format));
  EXPECT_EQ(pdu.data_at, 128U);
  EXPECT_EQ(pdu.data_size, 512U);
  EXPECT_TRUE(pdu.data_digest);
  EXPECT_EQ(pdu.length, bytes.size());
  EXPECT_EQ(load<std::uint32_t>(bytes.data() + 72), crc32c(ByteView(bytes).first(72)));
}

TEST(PduTest, AnyAlignmentFitsThePrefix) {
  for (std::uint32_t alignment = 4; alignment <= kMaxAlignment; alignment += 4) {
    for (const bool digests : {false, true}) {
      const PduFormat format{digests, digests, alignment};
      const Bytes bytes = capsule(16, format);
      const Pdu pdu = pdu_of(bytes, rules_for(false, format));
      EXPECT_LE(pdu.data_at, kMaxPrefix);
      EXPECT_EQ(pdu.data_at % alignment, 0U);
      EXPECT_EQ(bytes[pdu.data_at], std::byte{0x11});
      EXPECT_EQ(pdu_length(kCapsuleCmdHeader, 16, format), bytes.size());
    }
  }
}

TEST(PduTest, ResponsesAreReadBack) {
  Completion completion;
  completion.cid = 9;
  completion.status = status_field(StatusCode::invalid_field, true);
  Bytes out(kMaxPrefix);
  out.resize(encode_capsule_resp(completion, kPlain, out));
  Bytes expected(24);
  expected[0] = std::byte{5};
  expected[2] = expected[4] = std::byte{24};
  expected[20] = std::byte{9};
  expected[22] = std::byte{4};
  expected[23] = std::byte{0x80};
  EXPECT_EQ(out, expected);
  const Completion back = completion_of(pdu_of(out, rules_for(true, kPlain)));
  EXPECT_EQ(back.cid, 9);
  EXPECT_EQ(status_code(back), StatusCode::invalid_field);
}

TEST(PduTest, TransfersAreReadBack) {
  const Transfer t{0x0102, 0x0304, 0x05060708, 4096};
  Bytes out(kMaxPrefix);
  out.resize(encode_r2t(t, kPlain, out));
  const Bytes expected = [] {
    Bytes b(24);
    for (const auto& [at, value] : {std::pair{0, 9},
                                    {2, 24},
                                    {4, 24},
                                    {8, 2},
                                    {9, 1},
                                    {10, 4},
                                    {11, 3},
                                    {12, 8},
                                    {13, 7},
                                    {14, 6},
                                    {15, 5},
                                    {17, 0x10}}) {
      b[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
    }
    return b;
  }();
  EXPECT_EQ(out, expected);
  const Transfer back = transfer_of(pdu_of(out, rules_for(true, kPlain)));
  EXPECT_EQ(back.cid, t.cid);
  EXPECT_EQ(back.tag, t.tag);
  EXPECT_EQ(back.offset, t.offset);
  EXPECT_EQ(back.length, t.length);

  Bytes data(kMaxPrefix);
  data.resize(encode_data(PduType::h2c_data, t, kLastPdu, kBoth, data));
  const Pdu pdu = pdu_of(data, rules_for(false, kBoth));
  EXPECT_EQ(pdu.flags, kLastPdu | kHeaderDigestFlag | kDataDigestFlag);
  EXPECT_EQ(pdu.data_size, 4096U);
  EXPECT_EQ(pdu.length, 28U + 4096 + 4);
}

TEST(PduTest, LessThanAHeaderIsIncomplete) {
  for (const PduFormat& format : {kPlain, kBoth}) {
    const Bytes bytes = c2h({1, 0, 0, 64}, kLastPdu, format);
    const std::size_t header = format.header_digest ? 28 : 24;
    for (std::size_t n = 0; n < header; ++n) {
      const auto looked = look_at(ByteView(bytes).first(n), rules_for(true, format));
      EXPECT_TRUE(std::holds_alternative<Incomplete>(looked)) << n;
    }
    EXPECT_EQ(pdu_of(ByteView(bytes).first(header), rules_for(true, format)).data_size, 64U);
  }
}

TEST(PduTest, FieldsThatContradictThePduAreNamed) {
  const PduRules rules = rules_for(true, kPlain);
  const Bytes good = c2h({1, 0, 0, 64}, kLastPdu, kPlain);
  const auto broken = [&](std::size_t at, auto value) {
    Bytes bytes = good;
    store(bytes.data() + at, value);
    return error_of(bytes, rules);
  };
  expect_field(broken(0, std::uint8_t{8}), 0);                  // no such type
  expect_field(broken(0, std::uint8_t{0xff}), 0);               // nor this
  expect_field(broken(0, std::uint8_t{6}), 0);                  // one of the other direction
  expect_field(broken(1, std::uint8_t{kHeaderDigestFlag}), 1);  // digests that were not agreed
  expect_field(broken(1, std::uint8_t{kLastPdu | kDataDigestFlag}), 1);
  expect_field(broken(1, std::uint8_t{kSuccess}), 1);  // SUCCESS before the end
  expect_field(broken(2, std::uint8_t{25}), 2);        // header length
  expect_field(broken(3, std::uint8_t{20}), 3);        // data in the header
  expect_field(broken(3, std::uint8_t{26}), 3);        // not aligned
  expect_field(broken(4, std::uint32_t{23}), 4);       // shorter than the header
  expect_field(broken(4, std::uint32_t{0}), 4);
  expect_field(broken(3, std::uint8_t{200}), 4);    // ends before its data
  expect_field(broken(16, std::uint32_t{63}), 16);  // data length
  expect_field(broken(4, std::uint32_t{24}), 16);   // no data
  EXPECT_EQ(broken(4, std::uint32_t{0xffffffff}).error, FatalError::limit_exceeded);
}

TEST(PduTest, DigestsThatWereAgreedMustBeThere) {
  const Bytes plain = c2h({1, 0, 0, 64}, kLastPdu, kPlain);
  expect_field(error_of(plain, rules_for(true, {true, false, 4})), 1);
  expect_field(error_of(plain, rules_for(true, {false, true, 4})), 1);
}

TEST(PduTest, ADamagedHeaderFailsItsDigest) {
  const Bytes good = c2h({1, 0, 0, 64}, kLastPdu, kBoth);
  const PduRules rules = rules_for(true, kBoth);
  for (std::size_t at = 8; at < 28; ++at) {
    Bytes bytes = good;
    bytes[at] ^= std::byte{0x10};
    const PduError error = error_of(bytes, rules);
    EXPECT_EQ(error.error, FatalError::header_digest_error) << at;
    EXPECT_EQ(error.information, load<std::uint32_t>(bytes.data() + 24));
  }
}

TEST(PduTest, MoreDataThanAgreedIsRefused) {
  PduRules rules = rules_for(false, kPlain);
  rules.max_data = 511;
  expect_field(error_of(capsule(512, kPlain), rules), 4);
  Bytes data(kMaxPrefix);
  data.resize(encode_data(PduType::h2c_data, {1, 1, 0, 512}, kLastPdu, kPlain, data));
  EXPECT_EQ(error_of(data, rules).error, FatalError::limit_exceeded);
  rules.max_data = 512;
  EXPECT_EQ(pdu_of(data, rules).data_size, 512U);
}

TEST(PduTest, PhasesOfTheConnectionAreKept) {
  PduRules rules = rules_for(true, kPlain);
  Bytes ic(kMaxPrefix);
  ic.resize(encode(IcResp{}, ic));
  EXPECT_EQ(error_of(ic, rules).error, FatalError::sequence_error);
  rules.connecting = true;
  EXPECT_EQ(error_of(c2h({1, 0, 0, 64}, kLastPdu, kPlain), rules).error,
            FatalError::sequence_error);
  EXPECT_EQ(pdu_of(ic, rules).length, 128U);
  ic[4] = std::byte{127};
  expect_field(error_of(ic, rules), 4);
  ic[4] = std::byte{129};
  expect_field(error_of(ic, rules), 4);
}

TEST(PduTest, TermReqsCarryTheHeaderThatWasBad) {
  const Bytes bad = c2h({1, 0, 0, 64}, kLastPdu, kPlain);
  Bytes out(kTermHeader + kMaxTermData);
  const TermReq m{FatalError::data_out_of_range, 0x01020304};
  const std::size_t length =
      encode_term_req(PduType::c2h_term_req, m, ByteView(bad).first(24), out);
  ASSERT_EQ(length, 48U);
  EXPECT_EQ(load<std::uint16_t>(out.data() + 8), 4);
  EXPECT_EQ(load<std::uint32_t>(out.data() + 10), 0x01020304U);
  // In either phase, with digests or without: it has none.
  for (const bool connecting : {false, true}) {
    PduRules rules = rules_for(true, kBoth);
    rules.connecting = connecting;
    const Pdu pdu = pdu_of(out, rules);
    EXPECT_EQ(pdu.data_at, 24U);
    EXPECT_EQ(pdu.data_size, 24U);
    EXPECT_EQ(term_req_of(pdu).error, m.error);
    EXPECT_EQ(term_req_of(pdu).information, m.information);
  }
  EXPECT_EQ(encode_term_req(PduType::c2h_term_req, m, Bytes(1000), out),
            kTermHeader + kMaxTermData);
  store(out.data() + 4, std::uint32_t{kTermHeader + kMaxTermData + 1});
  expect_field(error_of(out, rules_for(true, kPlain)), 4);
}

TEST(PduTest, FatalErrorsHaveNames) {
  EXPECT_EQ(name_of(FatalError::sequence_error), "PDU sequence error");
  EXPECT_EQ(name_of(static_cast<FatalError>(0x99)), "fatal error 0x0099");
}

}  // namespace
}  // namespace scalio::nvmf
