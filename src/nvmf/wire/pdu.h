// NVMe/TCP PDUs as bytes (NVMe/TCP Transport Specification 1.0, section 3.6), for initiator and
// target.
//
// A PDU is a header, its digest if one was agreed, padding up to the data, the data, and its digest
// if one was agreed. Here headers are written and read; data is the caller's, who moves it only
// once. Pure: no I/O. What is read came from a peer and may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

enum class PduType : std::uint8_t {
  ic_req = 0x00,
  ic_resp = 0x01,
  h2c_term_req = 0x02,
  c2h_term_req = 0x03,
  capsule_cmd = 0x04,
  capsule_resp = 0x05,
  h2c_data = 0x06,
  c2h_data = 0x07,
  r2t = 0x09,
};

// In a PDU's flags.
constexpr std::uint8_t kHeaderDigestFlag = 1 << 0;
constexpr std::uint8_t kDataDigestFlag = 1 << 1;
constexpr std::uint8_t kLastPdu = 1 << 2;  // of a data PDU: the last of its transfer
constexpr std::uint8_t kSuccess = 1
                                  << 3;  // of C2HData: the command is complete, no response follows

constexpr std::size_t kCommonHeader = 8;
constexpr std::size_t kIcLength = 128;
constexpr std::size_t kCapsuleCmdHeader = 8 + kCommandSize;
constexpr std::size_t kCapsuleRespHeader = 8 + kCompletionSize;
constexpr std::size_t kDataHeader = 24;
constexpr std::size_t kR2tHeader = 24;
constexpr std::size_t kTermHeader = 24;
constexpr std::size_t kMaxTermData = 128;
constexpr std::size_t kDigestSize = 4;

// The most bytes of a header, its digest and the padding before the data.
constexpr std::size_t kMaxPrefix = 144;

// Data begins at a multiple of the alignment, which is one of 4 bytes. In HPDA and CPDA it is in
// units of 4 bytes, less one.
constexpr std::uint32_t kMaxAlignment = 128;

// The smallest MAXH2CDATA that a controller may ask for.
constexpr std::uint32_t kMinMaxH2cData = 4096;

// What both sides agreed on for a connection; `alignment` is what the PDU's receiver asked for.
struct PduFormat {
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t alignment = 4;
};

// CRC32C (RFC 3720 B.4), the digest of headers and data. Of data in pieces: pass the digest so far.
std::uint32_t crc32c(ByteView bytes, std::uint32_t so_far = 0);

// --- Writing. Each writes a header, its digest and the padding before the data to `out` and
// returns how many bytes that are, kMaxPrefix at most; `out` has room for them. The data follows
// there, then, if agreed, its digest. ---

struct IcReq {
  std::uint16_t version = 0;
  std::uint32_t alignment = 4;  // that the host wants, of C2HData
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t max_r2t = 1;  // R2Ts of one command at a time, at least 1
};
struct IcResp {
  std::uint16_t version = 0;
  std::uint32_t alignment = 4;  // that the controller wants, of capsules and H2CData
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t max_h2c_data = kMinMaxH2cData;  // most data bytes of an H2CData
};
std::size_t encode(const IcReq& m, ByteSpan out);
std::size_t encode(const IcResp& m, ByteSpan out);

// `data_size`: bytes of in-capsule data, or 0.
std::size_t encode_capsule_cmd(const NvmeCommand& command, std::size_t data_size,
                               const PduFormat& format, ByteSpan out);
std::size_t encode_capsule_resp(const Completion& completion, const PduFormat& format,
                                ByteSpan out);

// The header of H2CData, C2HData and R2T, which are alike.
struct Transfer {
  std::uint16_t cid = 0;
  std::uint16_t tag = 0;     // the controller's name for the transfer; not in C2HData
  std::uint32_t offset = 0;  // in the command's data
  std::uint32_t length = 0;
};
// `type` is h2c_data or c2h_data; `flags` is kLastPdu and kSuccess, or less.
std::size_t encode_data(PduType type, const Transfer& transfer, std::uint8_t flags,
                        const PduFormat& format, ByteSpan out);
std::size_t encode_r2t(const Transfer& transfer, const PduFormat& format, ByteSpan out);

// Bytes of a PDU of that header size and data, all parts included.
std::size_t pdu_length(std::size_t header, std::size_t data_size, const PduFormat& format);

// --- Fatal errors (3.5.1): the receiver of a bad PDU says so in a TermReq and closes the
// connection ---

enum class FatalError : std::uint16_t {
  invalid_header_field = 0x01,  // information: the field's offset in the header
  sequence_error = 0x02,
  header_digest_error = 0x03,  // information: the digest that was received
  data_out_of_range = 0x04,
  limit_exceeded = 0x05,         // more data, or more R2Ts, than agreed
  unsupported_parameter = 0x06,  // information: the parameter's offset in the header
};
// "invalid PDU header field" and so on; of others "fatal error 0x0099".
std::string name_of(FatalError error);

struct PduError {
  FatalError error = FatalError::invalid_header_field;
  std::uint32_t information = 0;
  std::string_view what;  // for people; a literal
};

struct TermReq {
  FatalError error = FatalError::invalid_header_field;
  std::uint32_t information = 0;
};
// `type` is h2c_term_req or c2h_term_req. `header`: of the PDU that was bad, as far as it was
// received; the first kMaxTermData bytes of it go along. Returns the length of the whole PDU: `out`
// has room for kTermHeader + kMaxTermData bytes.
std::size_t encode_term_req(PduType type, const TermReq& m, ByteView header, ByteSpan out);

// --- Reading ---

// What a receiver takes.
struct PduRules {
  bool at_host = true;  // else at the controller
  PduFormat format;     // `alignment`: what this side asked for
  // Most data bytes of one PDU: of C2HData, or of H2CData and in capsules.
  std::uint32_t max_data = 0;
  // Only the other side's IC PDU, or a TermReq, is in order.
  bool connecting = false;
};

// A received header that obeys the rules, for its type, in itself.
struct Pdu {
  PduType type = PduType::ic_req;
  std::uint8_t flags = 0;
  ByteView header;              // without its digest; in the bytes that were looked at
  std::uint32_t data_at = 0;    // from the PDU's begin; with no data, its end
  std::uint32_t data_size = 0;  // of a TermReq: of the header that comes back
  bool data_digest = false;     // kDigestSize bytes follow the data
  std::uint32_t length = 0;     // of all
};

// Not enough received to tell. No more than kMaxPrefix bytes are ever needed.
struct Incomplete {};

// Looks at the PDU that begins at `received`. Once it gives a Pdu, its header is complete and its
// digest right; data may be still to come, and its digest is for the caller to compare.
std::variant<Incomplete, Pdu, PduError> look_at(ByteView received, const PduRules& rules);

// Of a Pdu of that type.
NvmeCommand command_of(const Pdu& pdu);
Completion completion_of(const Pdu& pdu);
Transfer transfer_of(const Pdu& pdu);  // h2c_data, c2h_data, r2t
TermReq term_req_of(const Pdu& pdu);
// With what this side cannot take reported as an error.
std::variant<IcReq, PduError> ic_req_of(const Pdu& pdu);
std::variant<IcResp, PduError> ic_resp_of(const Pdu& pdu);

}  // namespace scalio::nvmf
