// How a client proves that it knows its user's secret, and a server that it knows the user, without
// either saying what an eavesdropper, or a thief of the server's file, could log in with
// (docs/formats.md, "Login").
//
// It is SCRAM (RFC 5802, RFC 7677) with Argon2id, which makes guessing dear, in place of PBKDF2.
// Both sides choose a nonce for each connection: what was said on one is worth nothing on another.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace scalio::layout {

// What a user may, as bits.
using Rights = std::uint8_t;
constexpr Rights kMayRead = 1;   // the region and the SSDs; statistics
constexpr Rights kMayFill = 2;   // write the region: the cache that others read
constexpr Rights kMayWrite = 4;  // requests that change the store
constexpr Rights kMayAdmin = 8;  // a gateway's settings and slow log; of a server nothing yet
constexpr Rights kAllRights = kMayRead | kMayFill | kMayWrite | kMayAdmin;

// Whom a connection has turned out to be.
struct Identity {
  std::string user;
  Rights rights = kAllRights;
  std::vector<std::string> prefixes = {};  // of the keys that it may write; none: of any
};

// Whether a key begins with one of these, where there are any.
bool begins_with_one(const std::vector<std::string>& prefixes, std::string_view key);

constexpr std::size_t kMaxUserName = 64;
constexpr std::size_t kMinSecret = 8, kMaxSecret = 1024;  // bytes
// Letters, digits, '-' and '_'; 1 to kMaxUserName of them.
bool is_user_name(std::string_view name);

using LoginKey = std::array<unsigned char, 32>;
using LoginSalt = std::array<unsigned char, 16>;

// What a server keeps of a secret. Nobody can log in with it; who has it can guess secrets, and
// pass for the server.
struct UserKeys {
  LoginSalt salt{};
  LoginKey stored{};
  LoginKey server{};

  // With a salt of chance. Fails with unavailable: Argon2id takes 64 MiB of memory.
  static Result<UserKeys> of(std::string_view secret);
  // One line: "argon2id-1$SALT$STORED$SERVER", in base64.
  std::string text() const;
  // Takes as long as of(), and fails so.
  Result<bool> are_of(std::string_view secret) const;
  static std::optional<UserKeys> parse(std::string_view text);
};

struct UserRecord {
  Rights rights = 0;
  UserKeys keys;
  // A key must begin with one of these for a server to let it be written, and for a gateway to let
  // it be named at all. None: any key may be.
  std::vector<std::string> prefixes = {};
};

// A client's user and secret. Belongs to one thread: what the secret becomes is kept, because that
// takes a tenth of a second.
class Credentials {
 public:
  struct Derived {
    LoginSalt salt{};
    LoginKey client{}, stored{}, server{};
  };
  // Fails with invalid: no such name can be, or no such secret.
  static Result<std::shared_ptr<Credentials>> create(std::string user, std::string secret);

  const std::string& user() const { return user_; }
  // Fails with unavailable.
  Result<Derived> derive(const LoginSalt& salt);

 private:
  Credentials(std::string user, std::string secret)
      : user_(std::move(user)), secret_(std::move(secret)) {}
  const std::string user_;
  const std::string secret_;
  std::optional<Derived> derived_;  // the last
};

// One connection's login, as the client has it: it says login(), then answer() to the challenge,
// and checks what the server says at the end.
class ClientLogin {
 public:
  explicit ClientLogin(std::shared_ptr<Credentials> credentials);

  const Bytes& login() const { return transcript_; }
  // Once. Failures: unavailable (malformed, no memory).
  Result<Bytes> answer(ByteView challenge);
  // The rights that it has, said by a server that knows the user; else unavailable.
  Result<Rights> finish(ByteView proven) const;

 private:
  const std::shared_ptr<Credentials> credentials_;
  Bytes transcript_;
  LoginKey expected_{};  // the server's signature; set by answer()
  bool answered_ = false;
};

// The same, as the server has it.
class ServerLogin {
 public:
  // The name in a login; nothing if it is malformed.
  static std::optional<std::string> user_of(ByteView login);

  // `keys` of the user, or of nobody, whom no proof is right for.
  ServerLogin(ByteView login, const UserKeys& keys);

  const Bytes& challenge() const { return challenge_; }
  bool proves(ByteView proof) const;
  // To be said to who has proved it.
  Bytes proven(Rights rights) const;

 private:
  const UserKeys keys_;
  Bytes challenge_;
  Bytes transcript_;
};

// Keys that nobody has the secret of. Always the same salt for the same name, as a user's is, so
// that a stranger does not learn which users there are. `mask` is chance that stays the server's.
UserKeys keys_of_nobody(const LoginKey& mask, std::string_view name);
LoginKey random_login_key();

// What a secret is known by again, in this process alone: it is quick to guess by.
LoginKey hash_of_secret(const LoginKey& mask, std::string_view secret);
// Takes as long where they differ.
bool same(const LoginKey& a, const LoginKey& b);

// What each message has at most.
constexpr std::size_t kMaxLogin = 32 + kMaxUserName;
constexpr std::size_t kChallengeSize = 1 + 16 + 32;
constexpr std::size_t kProofSize = 32;
constexpr std::size_t kProvenSize = 32 + 1;

}  // namespace scalio::layout
