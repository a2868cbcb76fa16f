#include "nvmf/wire/pdu.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/assert.h"

namespace scalio::nvmf {

namespace {

// Where the fields stand in the common header, and in those of the types.
constexpr std::size_t kFlagsAt = 1, kHlenAt = 2, kPdoAt = 3, kPlenAt = 4;
constexpr std::size_t kCidAt = 8, kTagAt = 10, kOffsetAt = 12, kLengthAt = 16;  // data and R2T
constexpr std::size_t kVersionAt = 8, kAlignmentAt = 10, kDigestsAt = 11, kLimitAt = 12;  // IC
constexpr std::size_t kErrorAt = 8, kInformationAt = 10;                                  // TermReq

// The digests in an IC PDU.
constexpr std::uint8_t kHeaderDigest = 1, kDataDigest = 2;

bool carries_data(PduType type) {
  return type == PduType::capsule_cmd || type == PduType::h2c_data || type == PduType::c2h_data;
}
bool has_digests(PduType type) {
  return type != PduType::ic_req && type != PduType::ic_resp && type != PduType::h2c_term_req &&
         type != PduType::c2h_term_req;
}

// The length of the header, or 0 if the type does not exist or goes the other way.
std::size_t header_of(PduType type, bool at_host) {
  switch (type) {
    case PduType::ic_req: return at_host ? 0 : kIcLength;
    case PduType::ic_resp: return at_host ? kIcLength : 0;
    case PduType::h2c_term_req: return at_host ? 0 : kTermHeader;
    case PduType::c2h_term_req: return at_host ? kTermHeader : 0;
    case PduType::capsule_cmd: return at_host ? 0 : kCapsuleCmdHeader;
    case PduType::capsule_resp: return at_host ? kCapsuleRespHeader : 0;
    case PduType::h2c_data: return at_host ? 0 : kDataHeader;
    case PduType::c2h_data: return at_host ? kDataHeader : 0;
    case PduType::r2t: return at_host ? kR2tHeader : 0;
  }
  return 0;
}

void put_common(ByteSpan out, PduType type, std::uint8_t flags, std::size_t header,
                std::size_t data_at, std::size_t length) {
  store(out.data(), type);
  store(out.data() + kFlagsAt, flags);
  store(out.data() + kHlenAt, static_cast<std::uint8_t>(header));
  store(out.data() + kPdoAt, static_cast<std::uint8_t>(data_at));
  store(out.data() + kPlenAt, static_cast<std::uint32_t>(length));
}

std::size_t data_offset(std::size_t header, const PduFormat& format) {
  return round_up(header + (format.header_digest ? kDigestSize : 0), format.alignment);
}

// Writes the common header before a PDU's own fields, which are there already, then digest and
// padding.
std::size_t finish(ByteSpan out, PduType type, std::uint8_t flags, std::size_t header,
                   std::size_t data_size, const PduFormat& format) {
  std::size_t prefix = header + (format.header_digest ? kDigestSize : 0);
  std::size_t data_at = 0;
  SCALIO_ASSERT(out.size() >= (data_size > 0 ? data_offset(header, format) : prefix));
  if (data_size > 0) {
    data_at = data_offset(header, format);
    std::memset(out.data() + prefix, 0, data_at - prefix);
    prefix = data_at;
    if (format.data_digest) flags |= kDataDigestFlag;
  }
  if (format.header_digest) flags |= kHeaderDigestFlag;
  put_common(out, type, flags, header, data_at, pdu_length(header, data_size, format));
  if (format.header_digest) store(out.data() + header, crc32c(out.first(header)));
  return prefix;
}

void put_transfer(ByteSpan out, const Transfer& t) {
  store(out.data() + kCidAt, t.cid);
  store(out.data() + kTagAt, t.tag);
  store(out.data() + kOffsetAt, t.offset);
  store(out.data() + kLengthAt, t.length);
  store(out.data() + kLengthAt + 4, std::uint32_t{0});
}

std::size_t put_ic(ByteSpan out, PduType type, std::uint16_t version, std::uint32_t alignment,
                   bool header_digest, bool data_digest, std::uint32_t limit) {
  SCALIO_ASSERT(out.size() >= kIcLength);
  SCALIO_ASSERT(alignment % 4 == 0 && alignment >= 4 && alignment <= kMaxAlignment);
  std::memset(out.data(), 0, kIcLength);
  put_common(out, type, 0, kIcLength, 0, kIcLength);
  store(out.data() + kVersionAt, version);
  store(out.data() + kAlignmentAt, static_cast<std::uint8_t>(alignment / 4 - 1));
  store(out.data() + kDigestsAt, static_cast<std::uint8_t>((header_digest ? kHeaderDigest : 0) |
                                                           (data_digest ? kDataDigest : 0)));
  store(out.data() + kLimitAt, limit);
  return kIcLength;
}

PduError bad_field(std::size_t at, std::string_view what) {
  return {FatalError::invalid_header_field, static_cast<std::uint32_t>(at), what};
}

// What both IC PDUs have in common: version, alignment, digests.
template <class Ic>
std::optional<PduError> get_ic(const Pdu& pdu, Ic& m) {
  const std::byte* const p = pdu.header.data();
  m.version = load<std::uint16_t>(p + kVersionAt);
  if (m.version != 0) {
    return PduError{FatalError::unsupported_parameter, kVersionAt,
                    "another PDU format version than 1.0"};
  }
  m.alignment = (load<std::uint8_t>(p + kAlignmentAt) + 1U) * 4;
  if (m.alignment > kMaxAlignment)
    return bad_field(kAlignmentAt, "a data alignment of more than 128 bytes");
  const auto digests = load<std::uint8_t>(p + kDigestsAt);
  m.header_digest = (digests & kHeaderDigest) != 0;
  m.data_digest = (digests & kDataDigest) != 0;
  return std::nullopt;
}

// Checks what the type says about flags and data; the header is complete.
std::optional<PduError> check_data(const Pdu& pdu, const PduRules& rules) {
  const bool controller_data = pdu.type == PduType::h2c_data || pdu.type == PduType::c2h_data;
  if (pdu.data_size > rules.max_data) {
    if (controller_data)
      return PduError{FatalError::limit_exceeded, 0, "more data than was agreed"};
    return bad_field(kPlenAt, "more in-capsule data than the capsule may have");
  }
  if (pdu.data_size > 0 && pdu.data_digest != ((pdu.flags & kDataDigestFlag) != 0)) {
    return bad_field(kFlagsAt, "data with a digest that was not agreed, or without one that was");
  }
  if (!controller_data) return std::nullopt;
  if (pdu.data_size == 0) return bad_field(kLengthAt, "a data PDU without data");
  if (load<std::uint32_t>(pdu.header.data() + kLengthAt) != pdu.data_size) {
    return bad_field(kLengthAt, "a data length that contradicts the PDU's");
  }
  if ((pdu.flags & kSuccess) != 0 && (pdu.flags & kLastPdu) == 0) {
    return bad_field(kFlagsAt, "SUCCESS in a data PDU that is not the last");
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t so_far) {
  constexpr std::size_t kAtOnce = 1U << 30;  // the library counts in int
  std::uint32_t state = ~so_far;
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kAtOnce);
    auto* p = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    state = crc32_iscsi(p, static_cast<int>(n), state);
    bytes = bytes.subspan(n);
  }
  return ~state;
}

std::size_t encode(const IcReq& m, ByteSpan out) {
  return put_ic(out, PduType::ic_req, m.version, m.alignment, m.header_digest, m.data_digest,
                m.max_r2t - 1);
}

std::size_t encode(const IcResp& m, ByteSpan out) {
  return put_ic(out, PduType::ic_resp, m.version, m.alignment, m.header_digest, m.data_digest,
                m.max_h2c_data);
}

std::size_t encode_capsule_cmd(const NvmeCommand& command, std::size_t data_size,
                               const PduFormat& format, ByteSpan out) {
  store(out.data() + kCommonHeader, command);
  return finish(out, PduType::capsule_cmd, 0, kCapsuleCmdHeader, data_size, format);
}

std::size_t encode_capsule_resp(const Completion& completion, const PduFormat& format,
                                ByteSpan out) {
  store(out.data() + kCommonHeader, completion);
  return finish(out, PduType::capsule_resp, 0, kCapsuleRespHeader, 0, format);
}

std::size_t encode_data(PduType type, const Transfer& transfer, std::uint8_t flags,
                        const PduFormat& format, ByteSpan out) {
  SCALIO_ASSERT(transfer.length > 0);
  put_transfer(out, transfer);
  return finish(out, type, flags, kDataHeader, transfer.length, format);
}

std::size_t encode_r2t(const Transfer& transfer, const PduFormat& format, ByteSpan out) {
  put_transfer(out, transfer);
  return finish(out, PduType::r2t, 0, kR2tHeader, 0, format);
}

std::size_t pdu_length(std::size_t header, std::size_t data_size, const PduFormat& format) {
  if (data_size == 0) return header + (format.header_digest ? kDigestSize : 0);
  return data_offset(header, format) + data_size + (format.data_digest ? kDigestSize : 0);
}

std::string name_of(FatalError error) {
  switch (error) {
    case FatalError::invalid_header_field: return "invalid PDU header field";
    case FatalError::sequence_error: return "PDU sequence error";
    case FatalError::header_digest_error: return "header digest error";
    case FatalError::data_out_of_range: return "data transfer out of range";
    case FatalError::limit_exceeded: return "data transfer or R2T limit exceeded";
    case FatalError::unsupported_parameter: return "unsupported parameter";
  }
  return fmt::format("fatal error {:#06x}", static_cast<unsigned>(error));
}

std::size_t encode_term_req(PduType type, const TermReq& m, ByteView header, ByteSpan out) {
  header = header.first(std::min(header.size(), kMaxTermData));
  const std::size_t length = kTermHeader + header.size();
  SCALIO_ASSERT(out.size() >= length);
  std::memset(out.data(), 0, kTermHeader);
  put_common(out, type, 0, kTermHeader, 0, length);
  store(out.data() + kErrorAt, m.error);
  store(out.data() + kInformationAt, m.information);
  copy_bytes(header, out.data() + kTermHeader);
  return length;
}

std::variant<Incomplete, Pdu, PduError> look_at(ByteView received, const PduRules& rules) {
  if (received.size() < kCommonHeader) return Incomplete{};
  const std::byte* const p = received.data();
  Pdu pdu;
  pdu.type = load<PduType>(p);
  pdu.flags = load<std::uint8_t>(p + kFlagsAt);
  pdu.length = load<std::uint32_t>(p + kPlenAt);
  const std::size_t header = header_of(pdu.type, rules.at_host);
  if (header == 0) return bad_field(0, "a PDU of a type that is not to be sent here");

  const bool terminates = pdu.type == PduType::c2h_term_req || pdu.type == PduType::h2c_term_req;
  const bool connects = pdu.type == PduType::ic_req || pdu.type == PduType::ic_resp;
  if (!terminates && connects != rules.connecting) {
    return PduError{FatalError::sequence_error, 0, "a PDU at the wrong phase of the connection"};
  }
  if (load<std::uint8_t>(p + kHlenAt) != header) return bad_field(kHlenAt, "a wrong header length");

  const bool digest = has_digests(pdu.type) && rules.format.header_digest;
  if (digest != ((pdu.flags & kHeaderDigestFlag) != 0)) {
    return bad_field(kFlagsAt,
                     "a header with a digest that was not agreed, or without one that was");
  }
  const std::size_t prefix = header + (digest ? kDigestSize : 0);
  if (pdu.length < prefix) return bad_field(kPlenAt, "a PDU that is shorter than its header");
  pdu.data_at = pdu.length;
  if (carries_data(pdu.type) && pdu.length > prefix) {
    pdu.data_digest = rules.format.data_digest;
    const std::size_t trailer = pdu.data_digest ? kDigestSize : 0;
    pdu.data_at = load<std::uint8_t>(p + kPdoAt);
    if (pdu.data_at < prefix || pdu.data_at % rules.format.alignment != 0) {
      return bad_field(kPdoAt, "data at an offset that was not agreed");
    }
    if (pdu.data_at + trailer >= pdu.length)
      return bad_field(kPlenAt, "a PDU that ends before its data");
    pdu.data_size = static_cast<std::uint32_t>(pdu.length - pdu.data_at - trailer);
  } else if (terminates) {
    if (pdu.length > header + kMaxTermData) return bad_field(kPlenAt, "too long a TermReq");
    pdu.data_at = static_cast<std::uint32_t>(header);
    pdu.data_size = pdu.length - pdu.data_at;
  } else if (pdu.length != prefix) {
    return bad_field(kPlenAt, "a PDU that is longer than its header");
  }

  if (received.size() < prefix) return Incomplete{};
  pdu.header = received.first(header);
  if (digest) {
    const auto sent = load<std::uint32_t>(p + header);
    if (sent != crc32c(pdu.header)) {
      return PduError{FatalError::header_digest_error, sent, "a header that fails its digest"};
    }
  }
  if (carries_data(pdu.type)) {
    if (std::optional<PduError> error = check_data(pdu, rules)) return *error;
  }
  return pdu;
}

NvmeCommand command_of(const Pdu& pdu) {
  return load<NvmeCommand>(pdu.header.data() + kCommonHeader);
}

Completion completion_of(const Pdu& pdu) {
  return load<Completion>(pdu.header.data() + kCommonHeader);
}

Transfer transfer_of(const Pdu& pdu) {
  const std::byte* const p = pdu.header.data();
  return {load<std::uint16_t>(p + kCidAt), load<std::uint16_t>(p + kTagAt),
          load<std::uint32_t>(p + kOffsetAt), load<std::uint32_t>(p + kLengthAt)};
}

TermReq term_req_of(const Pdu& pdu) {
  return {load<FatalError>(pdu.header.data() + kErrorAt),
          load<std::uint32_t>(pdu.header.data() + kInformationAt)};
}

std::variant<IcReq, PduError> ic_req_of(const Pdu& pdu) {
  IcReq m;
  if (std::optional<PduError> error = get_ic(pdu, m)) return *error;
  const auto limit = load<std::uint32_t>(pdu.header.data() + kLimitAt);
  m.max_r2t = limit == std::numeric_limits<std::uint32_t>::max() ? limit : limit + 1;
  return m;
}

std::variant<IcResp, PduError> ic_resp_of(const Pdu& pdu) {
  IcResp m;
  if (std::optional<PduError> error = get_ic(pdu, m)) return *error;
  m.max_h2c_data = load<std::uint32_t>(pdu.header.data() + kLimitAt);
  if (m.max_h2c_data < kMinMaxH2cData || m.max_h2c_data % 4 != 0) {
    return bad_field(kLimitAt, "a MAXH2CDATA of less than 4096 bytes, or no multiple of 4");
  }
  return m;
}

}  // namespace scalio::nvmf
