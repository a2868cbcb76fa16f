// What DH-HMAC-CHAP computes (Base 8.13.5), by OpenSSL.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "nvmf/wire/auth_message.h"
#include "nvmf/wire/dhchap_secret.h"

// As OpenSSL declares it: its headers stay out of this one.
using EVP_PKEY = struct evp_pkey_st;

namespace scalio::nvmf {

// The key that who has this secret and this name answers challenges with.
Bytes response_key(const DhchapSecret& secret, std::string_view nqn);

// Which end answers. The two answer differently to the same challenge, so that an end's own answer
// is of no use to the other.
enum class AuthEnd : std::uint8_t { host, controller };

// What a response is made of.
struct ChallengeTerms {
  AuthHash hash = AuthHash::sha256;
  ByteView challenge;
  ByteView shared;  // what the key exchange has given; empty: there was none
  std::uint32_t sequence = 0;
  std::uint16_t transaction = 0;
  AuthEnd end = AuthEnd::host;
  std::string_view own_nqn;    // of the end that answers
  std::string_view other_nqn;  // and of the one that asks
};
// `key` is the response_key() of the end that answers. size_of(hash) bytes.
Bytes response_to(const ChallengeTerms& terms, ByteView key);

// In a time that does not depend on where they differ.
bool same_secretly(ByteView a, ByteView b);

// A number of a challenge: never 0, and never the same again before 2^32 others. Thread-safe.
std::uint32_t next_sequence_number();
// Bytes that nobody can foretell. Failures: unavailable.
Result<Bytes> unpredictable_bytes(std::size_t size);

// One end's part of a key exchange in a group that is not none.
class DhKey {
 public:
  // Failures: unavailable (OpenSSL has no memory, or no such group).
  static Result<DhKey> make(DhGroup group);

  // size_of(group) bytes.
  const Bytes& public_key() const { return public_key_; }
  // What both ends, and nobody else, have from the other's public key: size_of(group) bytes.
  // Failures: invalid (it is no element of the group, or one that gives everything away).
  Result<Bytes> shared_with(ByteView public_key) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  DhKey(DhGroup group, EVP_PKEY* key) : group_(group), key_(key) {}

  DhGroup group_;
  std::unique_ptr<EVP_PKEY, Free> key_;
  Bytes public_key_;
};

}  // namespace scalio::nvmf
