#include "nvmf/wire/auth_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

namespace {

// SECP and SPSP of NVMe's own authentication.
constexpr std::uint32_t kOfNvme = 0xe9010100;
constexpr std::uint8_t kChapId = 1;  // a protocol's AuthID

constexpr std::size_t kHeader = 6;
constexpr std::size_t kNegotiateHeader = 8, kDescriptor = 64, kHashesAt = 4, kGroupsAt = 34;
constexpr std::size_t kFixed = 16;  // of a challenge, a reply and a success

Bytes begin(AuthMessage message, std::uint16_t transaction, std::size_t size) {
  Bytes out(size);
  store(out.data(), static_cast<std::uint16_t>(message));
  store(out.data() + 4, transaction);
  return out;
}

template <class T>
T at(ByteView in, std::size_t offset) {
  return load<T>(in.data() + offset);
}

Bytes part(ByteView in, std::size_t from, std::size_t size) {
  const ByteView found = in.subspan(from, size);
  return Bytes(found.begin(), found.end());
}

}  // namespace

// --- Commands ---

namespace {
NvmeCommand transfer_command(FabricsType type, std::uint32_t bytes) {
  NvmeCommand c;
  c.opcode = kFabricsOpcode;
  c.nsid = static_cast<std::uint32_t>(type);
  c.cdw10 = kOfNvme;
  c.cdw11 = bytes;
  return c;
}
}  // namespace

NvmeCommand make_authentication_send(std::uint32_t bytes) {
  return transfer_command(FabricsType::authentication_send, bytes);
}

NvmeCommand make_authentication_receive(std::uint32_t room) {
  return transfer_command(FabricsType::authentication_receive, room);
}

AuthTransfer parse_authentication(const NvmeCommand& command) {
  constexpr std::uint32_t kReserved = 0xff;
  return {(command.cdw10 & ~kReserved) == kOfNvme, command.cdw11};
}

// --- Messages ---

std::string name_of(AuthFailure why) {
  switch (why) {
    case AuthFailure::failed: return "authentication failed";
    case AuthFailure::protocol_unusable: return "authentication protocol not usable";
    case AuthFailure::channel_mismatch: return "secure channel concatenation mismatch";
    case AuthFailure::hash_unusable: return "hash function not usable";
    case AuthFailure::group_unusable: return "Diffie-Hellman group not usable";
    case AuthFailure::incorrect_payload: return "incorrect payload";
    case AuthFailure::incorrect_message: return "incorrect protocol message";
  }
  return fmt::format("reason {}", static_cast<unsigned>(why));
}

Result<AuthHeader> decode_auth_header(ByteView in) {
  if (in.size() < kHeader) return too_short("authentication message", in, kHeader);
  return AuthHeader{static_cast<AuthMessage>(at<std::uint16_t>(in, 0)), at<std::uint16_t>(in, 4)};
}

Bytes encode(const AuthNegotiate& m) {
  SCALIO_ASSERT(m.hashes.size() <= AuthNegotiate::kMost && m.groups.size() <= AuthNegotiate::kMost);
  Bytes out =
      begin(AuthMessage::negotiate, m.transaction, kNegotiateHeader + (m.chap ? kDescriptor : 0));
  store(out.data() + 6, m.secure_channel);
  if (!m.chap) return out;
  store(out.data() + 7, std::uint8_t{1});  // one protocol
  std::byte* const descriptor = out.data() + kNegotiateHeader;
  store(descriptor, kChapId);
  store(descriptor + 2, static_cast<std::uint8_t>(m.hashes.size()));
  store(descriptor + 3, static_cast<std::uint8_t>(m.groups.size()));
  std::ranges::transform(m.hashes, descriptor + kHashesAt,
                         [](AuthHash h) { return static_cast<std::byte>(h); });
  std::ranges::transform(m.groups, descriptor + kGroupsAt,
                         [](DhGroup g) { return static_cast<std::byte>(g); });
  return out;
}

Result<AuthNegotiate> decode_auth_negotiate(ByteView in) {
  if (in.size() < kNegotiateHeader) return too_short("AUTH_Negotiate", in, kNegotiateHeader);
  AuthNegotiate m;
  m.transaction = at<std::uint16_t>(in, 4);
  m.secure_channel = at<std::uint8_t>(in, 6);
  const std::size_t protocols = at<std::uint8_t>(in, 7);
  m.whole = kNegotiateHeader + protocols * kDescriptor;
  m.chap = false;
  if (in.size() < m.whole) return too_short("AUTH_Negotiate", in, m.whole);
  for (std::size_t i = 0; i < protocols && !m.chap; ++i) {
    const ByteView d = in.subspan(kNegotiateHeader + i * kDescriptor, kDescriptor);
    if (at<std::uint8_t>(d, 0) != kChapId) continue;
    const std::size_t hashes = at<std::uint8_t>(d, 2), groups = at<std::uint8_t>(d, 3);
    if (hashes > AuthNegotiate::kMost || groups > AuthNegotiate::kMost) {
      return Status(Code::invalid,
                    fmt::format("AUTH_Negotiate with {} hash functions and {} groups, of {} each",
                                hashes, groups, AuthNegotiate::kMost));
    }
    m.chap = true;
    for (std::size_t j = 0; j < hashes; ++j) {
      m.hashes.push_back(static_cast<AuthHash>(at<std::uint8_t>(d, kHashesAt + j)));
    }
    for (std::size_t j = 0; j < groups; ++j) {
      m.groups.push_back(static_cast<DhGroup>(at<std::uint8_t>(d, kGroupsAt + j)));
    }
  }
  return m;
}

Bytes encode(const AuthChallenge& m) {
  Bytes out = begin(AuthMessage::challenge, m.transaction,
                    kFixed + m.challenge.size() + m.public_key.size());
  store(out.data() + 6, static_cast<std::uint8_t>(m.challenge.size()));
  store(out.data() + 8, m.hash);
  store(out.data() + 9, m.group);
  store(out.data() + 10, static_cast<std::uint16_t>(m.public_key.size()));
  store(out.data() + 12, m.sequence);
  copy_bytes(m.public_key, copy_bytes(m.challenge, out.data() + kFixed));
  return out;
}

Result<AuthChallenge> decode_auth_challenge(ByteView in) {
  constexpr std::string_view kName = "DH-HMAC-CHAP_Challenge";
  if (in.size() < kFixed) return too_short(kName, in, kFixed);
  const std::size_t hash = at<std::uint8_t>(in, 6), key = at<std::uint16_t>(in, 10);
  if (in.size() < kFixed + hash + key) return too_short(kName, in, kFixed + hash + key);
  AuthChallenge m;
  m.transaction = at<std::uint16_t>(in, 4);
  m.hash = at<AuthHash>(in, 8);
  m.group = at<DhGroup>(in, 9);
  m.sequence = at<std::uint32_t>(in, 12);
  m.challenge = part(in, kFixed, hash);
  m.public_key = part(in, kFixed + hash, key);
  return m;
}

Bytes encode(const AuthReply& m) {
  SCALIO_ASSERT(m.challenge.size() == m.response.size());
  Bytes out = begin(AuthMessage::reply, m.transaction,
                    kFixed + 2 * m.response.size() + m.public_key.size());
  store(out.data() + 6, static_cast<std::uint8_t>(m.response.size()));
  store(out.data() + 8, static_cast<std::uint8_t>(m.asks ? 1 : 0));
  store(out.data() + 10, static_cast<std::uint16_t>(m.public_key.size()));
  store(out.data() + 12, m.sequence);
  std::byte* to = copy_bytes(m.response, out.data() + kFixed);
  copy_bytes(m.public_key, copy_bytes(m.challenge, to));
  return out;
}

Result<AuthReply> decode_auth_reply(ByteView in) {
  constexpr std::string_view kName = "DH-HMAC-CHAP_Reply";
  if (in.size() < kFixed) return too_short(kName, in, kFixed);
  const std::size_t hash = at<std::uint8_t>(in, 6), key = at<std::uint16_t>(in, 10);
  AuthReply m;
  m.whole = kFixed + 2 * hash + key;
  if (in.size() < m.whole) return too_short(kName, in, m.whole);
  m.transaction = at<std::uint16_t>(in, 4);
  m.asks = (at<std::uint8_t>(in, 8) & 1) != 0;
  m.sequence = at<std::uint32_t>(in, 12);
  m.response = part(in, kFixed, hash);
  m.challenge = part(in, kFixed + hash, hash);
  m.public_key = part(in, kFixed + 2 * hash, key);
  return m;
}

// HL is told in any case: Linux's host looks at it.
Bytes encode(const AuthSuccess1& m) {
  SCALIO_ASSERT(!m.response || m.response->size() == m.hash_size);
  Bytes out = begin(AuthMessage::success1, m.transaction, kFixed + (m.response ? m.hash_size : 0U));
  store(out.data() + 6, m.hash_size);
  if (!m.response) return out;
  store(out.data() + 8, std::uint8_t{1});
  copy_bytes(*m.response, out.data() + kFixed);
  return out;
}

Result<AuthSuccess1> decode_auth_success1(ByteView in) {
  constexpr std::string_view kName = "DH-HMAC-CHAP_Success1";
  if (in.size() < kFixed) return too_short(kName, in, kFixed);
  AuthSuccess1 m;
  m.transaction = at<std::uint16_t>(in, 4);
  m.hash_size = at<std::uint8_t>(in, 6);
  if ((at<std::uint8_t>(in, 8) & 1) == 0) return m;
  if (in.size() < kFixed + m.hash_size) return too_short(kName, in, kFixed + m.hash_size);
  m.response = part(in, kFixed, m.hash_size);
  return m;
}

Bytes encode_auth_success2(std::uint16_t transaction) {
  return begin(AuthMessage::success2, transaction, kAuthSuccess2);
}

Bytes encode_auth_failure(AuthMessage message, std::uint16_t transaction, AuthFailure why) {
  SCALIO_ASSERT(message == AuthMessage::failure1 || message == AuthMessage::failure2);
  Bytes out = begin(message, transaction, kAuthFailureSize);
  store(out.data() + 6, std::uint8_t{1});  // the only reason that there is; it has explanations
  store(out.data() + 7, why);
  return out;
}

Result<AuthFailure> decode_auth_failure(ByteView in) {
  if (in.size() < kAuthFailureSize) return too_short("AUTH_Failure", in, kAuthFailureSize);
  return at<AuthFailure>(in, 7);
}

}  // namespace scalio::nvmf
