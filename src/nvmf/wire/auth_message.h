// In-band authentication (Base 8.13) as bytes: the commands that carry it, and the messages of
// DH-HMAC-CHAP.
//
// The host asks to be authenticated (negotiate), the controller gives it something to compute with
// its secret (challenge), the host does (reply) and may ask the same of the controller, and the
// controller says that it is right (success1); if it was asked, the host then says so too
// (success2). Each may say instead that it has failed. All messages carry the transaction's number,
// which the host has chosen.
//
// Pure: no I/O, and everything that a peer wrote is checked before it is used.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

// In DW0 of a Connect that has succeeded (AUTHREQ): the queue takes no other command before the
// host has authenticated itself; and it asks for a secure channel, which is not done here.
constexpr std::uint32_t kMustAuthenticate = 1U << 17;
constexpr std::uint32_t kAuthenticationBits = 0xffff0000;

// --- Commands (Fabrics 3.1, 3.2) ---

// Bytes of the largest message that there is here, and what a host gives room for.
constexpr std::uint32_t kAuthRoom = 4096;

NvmeCommand make_authentication_send(std::uint32_t bytes);
NvmeCommand make_authentication_receive(std::uint32_t room);
struct AuthTransfer {
  bool of_nvme = false;  // SECP and SPSP say that it is about this, and not of another protocol
  std::uint32_t bytes = 0;
};
AuthTransfer parse_authentication(const NvmeCommand& command);

// --- What is negotiated (Base 8.13.5.2) ---

enum class AuthHash : std::uint8_t { sha256 = 1, sha384 = 2, sha512 = 3 };
inline constexpr std::array kAuthHashes = {AuthHash::sha256, AuthHash::sha384, AuthHash::sha512};
// Bytes of a hash, and of a challenge and of a response; 0 of what is none.
constexpr std::size_t size_of(AuthHash h) {
  switch (h) {
    case AuthHash::sha256: return 32;
    case AuthHash::sha384: return 48;
    case AuthHash::sha512: return 64;
  }
  return 0;
}

// The groups of RFC 7919, or none: no key exchange.
enum class DhGroup : std::uint8_t {
  none = 0,
  ffdhe2048 = 1,
  ffdhe3072 = 2,
  ffdhe4096 = 3,
  ffdhe6144 = 4,
  ffdhe8192 = 5,
};
inline constexpr std::array kDhGroups = {DhGroup::none,      DhGroup::ffdhe2048,
                                         DhGroup::ffdhe3072, DhGroup::ffdhe4096,
                                         DhGroup::ffdhe6144, DhGroup::ffdhe8192};
// Whether there is such a group.
constexpr bool is_group(DhGroup g) { return g <= DhGroup::ffdhe8192; }
// Bytes of an element of it; 0 of none.
constexpr std::size_t size_of(DhGroup g) {
  constexpr std::array<std::size_t, 6> kSizes = {0, 256, 384, 512, 768, 1024};
  return is_group(g) ? kSizes[static_cast<std::size_t>(g)] : 0;
}

// --- Messages (Base 8.13.5) ---

// AUTH_TYPE in the lower byte, AUTH_ID in the upper.
enum class AuthMessage : std::uint16_t {
  negotiate = 0x0000,
  failure1 = 0xf100,  // of the controller
  failure2 = 0xf000,  // of the host
  challenge = 0x0101,
  reply = 0x0201,
  success1 = 0x0301,
  success2 = 0x0401,
};

// Why an authentication has failed.
enum class AuthFailure : std::uint8_t {
  failed = 1,  // the other end does not know the secret
  protocol_unusable = 2,
  channel_mismatch = 3,  // a secure channel was asked for
  hash_unusable = 4,
  group_unusable = 5,
  incorrect_payload = 6,
  incorrect_message = 7,  // it was another one's turn
};
// "authentication failed"; of others "reason 9".
std::string name_of(AuthFailure why);

struct AuthHeader {
  AuthMessage message = AuthMessage::negotiate;
  std::uint16_t transaction = 0;
};
// Of any message. Failures: invalid (too short).
Result<AuthHeader> decode_auth_header(ByteView in);

// The decoders take a message of the right kind, which may be followed by other bytes, where the
// receiver has more room than it has; whole() says how long it is. Failures: invalid (too short for
// what it says of itself).

struct AuthNegotiate {
  static constexpr std::size_t kMost = 30;  // of hashes, and of groups

  std::uint16_t transaction = 0;
  std::uint8_t secure_channel = 0;  // SC_C; 0: none
  bool chap = true;                 // DH-HMAC-CHAP is among what the host can do
  std::vector<AuthHash> hashes;     // any bytes
  std::vector<DhGroup> groups;

  std::size_t whole = 0;  // bytes, of a decoded one
};
Bytes encode(const AuthNegotiate& m);
Result<AuthNegotiate> decode_auth_negotiate(ByteView in);

struct AuthChallenge {
  std::uint16_t transaction = 0;
  AuthHash hash = AuthHash::sha256;  // any byte, like the group
  DhGroup group = DhGroup::none;
  std::uint32_t sequence = 0;
  Bytes challenge;   // C1
  Bytes public_key;  // of the group
};
Bytes encode(const AuthChallenge& m);
Result<AuthChallenge> decode_auth_challenge(ByteView in);

struct AuthReply {
  std::uint16_t transaction = 0;
  bool asks = false;           // the controller is to authenticate itself
  std::uint32_t sequence = 0;  // of what it is asked
  Bytes response;              // R1
  Bytes challenge;             // C2, as long; zeroes if it is asked nothing
  Bytes public_key;

  std::size_t whole = 0;
};
Bytes encode(const AuthReply& m);
Result<AuthReply> decode_auth_reply(ByteView in);

struct AuthSuccess1 {
  std::uint16_t transaction = 0;
  std::uint8_t hash_size = 0;
  std::optional<Bytes> response;  // R2, of hash_size bytes
};
Bytes encode(const AuthSuccess1& m);
Result<AuthSuccess1> decode_auth_success1(ByteView in);

constexpr std::size_t kAuthSuccess2 = 16;
Bytes encode_auth_success2(std::uint16_t transaction);

constexpr std::size_t kAuthFailureSize = 8;
// `message` is failure1 or failure2.
Bytes encode_auth_failure(AuthMessage message, std::uint16_t transaction, AuthFailure why);
Result<AuthFailure> decode_auth_failure(ByteView in);

}  // namespace scalio::nvmf
