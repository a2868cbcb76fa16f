#include "layout/login.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "base/assert.h"

namespace scalio::layout {

namespace {
static_assert(sizeof(LoginKey) == crypto_auth_hmacsha256_BYTES);
static_assert(sizeof(LoginKey) == crypto_auth_hmacsha256_KEYBYTES);
static_assert(sizeof(LoginKey) == crypto_hash_sha256_BYTES);
static_assert(sizeof(LoginSalt) == crypto_pwhash_SALTBYTES);
static_assert(kMaxSecret <= crypto_pwhash_PASSWD_MAX);

// Argon2id with what libsodium gives for logins: 2 passes over 64 MiB. Another number of the scheme
// may have others.
constexpr std::uint8_t kScheme = 1;
constexpr std::string_view kSchemeName = "argon2id-1";
// Before what is signed: these keys are for this only.
constexpr std::string_view kContext = "scalio login 1";

void be_ready() {
  // The library chooses its code for this CPU once.
  static const bool ready = sodium_init() >= 0;
  SCALIO_ASSERT(ready);
}

template <std::size_t N>
ByteView view(const std::array<unsigned char, N>& a) {
  return std::as_bytes(std::span(a));
}
const unsigned char* chars(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
template <std::size_t N>
void take(ByteReader& r, std::array<unsigned char, N>& into) {
  const ByteView bytes = r.bytes(N);
  if (bytes.size() == N) std::copy_n(chars(bytes), N, into.begin());
}

LoginKey random_key() {
  be_ready();
  LoginKey key;
  randombytes_buf(key.data(), key.size());
  return key;
}

LoginKey hmac(const LoginKey& key, ByteView bytes) {
  LoginKey out;
  crypto_auth_hmacsha256(out.data(), chars(bytes), bytes.size(), key.data());
  return out;
}

LoginKey sha256(const LoginKey& of) {
  LoginKey out;
  crypto_hash_sha256(out.data(), of.data(), of.size());
  return out;
}

LoginKey both(const LoginKey& a, const LoginKey& b) {
  LoginKey out;
  std::transform(a.begin(), a.end(), b.begin(), out.begin(),
                 [](unsigned char x, unsigned char y) { return x ^ y; });
  return out;
}

Result<Credentials::Derived> derive_from(std::string_view secret, const LoginSalt& salt) {
  be_ready();
  LoginKey salted;
  if (crypto_pwhash(salted.data(), salted.size(), secret.data(), secret.size(), salt.data(),
                    crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                    crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Status(Code::unavailable, "no memory for Argon2id, which takes 64 MiB");
  }
  Credentials::Derived d;
  d.salt = salt;
  d.client = hmac(salted, as_bytes("Client Key"));
  d.server = hmac(salted, as_bytes("Server Key"));
  d.stored = sha256(d.client);
  return d;
}

std::string base64(ByteView bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), chars(bytes), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the zero at its end
  return out;
}

template <std::size_t N>
bool from_base64(std::string_view text, std::array<unsigned char, N>& into) {
  std::size_t size = 0;
  const char* end = nullptr;
  return sodium_base642bin(into.data(), N, text.data(), text.size(), nullptr, &size, &end,
                           sodium_base64_VARIANT_ORIGINAL) == 0 &&
         size == N && end == text.data() + text.size();
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

// What is signed: all that was said before.
Bytes transcript_of(ByteView login, ByteView challenge) {
  Bytes all;
  append(all, as_bytes(kContext));
  append(all, login);
  append(all, challenge);
  return all;
}
}  // namespace

bool is_user_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return !name.empty() && name.size() <= kMaxUserName && std::ranges::all_of(name, fits);
}

bool begins_with_one(const std::vector<std::string>& prefixes, std::string_view key) {
  const auto begins = [key](const std::string& prefix) { return key.starts_with(prefix); };
  return prefixes.empty() || std::ranges::any_of(prefixes, begins);
}

LoginKey random_login_key() { return random_key(); }

bool same(const LoginKey& a, const LoginKey& b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

LoginKey hash_of_secret(const LoginKey& mask, std::string_view secret) {
  return hmac(mask, as_bytes(secret));
}

UserKeys keys_of_nobody(const LoginKey& mask, std::string_view name) {
  UserKeys keys{.stored = random_key(), .server = random_key()};
  const LoginKey masked = hmac(mask, as_bytes(name));
  std::copy_n(masked.begin(), keys.salt.size(), keys.salt.begin());
  return keys;
}

// --- UserKeys

Result<UserKeys> UserKeys::of(std::string_view secret) {
  be_ready();
  LoginSalt salt;
  randombytes_buf(salt.data(), salt.size());
  Result<Credentials::Derived> derived = derive_from(secret, salt);
  if (!derived.ok()) return derived.status();
  return UserKeys{salt, derived->stored, derived->server};
}

Result<bool> UserKeys::are_of(std::string_view secret) const {
  const Result<Credentials::Derived> derived = derive_from(secret, salt);
  if (!derived.ok()) return derived.status();
  return same(derived->stored, stored);
}

std::string UserKeys::text() const {
  be_ready();
  return fmt::format("{}${}${}${}", kSchemeName, base64(view(salt)), base64(view(stored)),
                     base64(view(server)));
}

std::optional<UserKeys> UserKeys::parse(std::string_view text) {
  be_ready();
  std::array<std::string_view, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = text.find('$');
    if ((end == text.npos) != (i + 1 == parts.size())) return std::nullopt;
    parts[i] = text.substr(0, end);
    if (end != text.npos) text.remove_prefix(end + 1);
  }
  UserKeys keys;
  if (parts[0] != kSchemeName || !from_base64(parts[1], keys.salt) ||
      !from_base64(parts[2], keys.stored) || !from_base64(parts[3], keys.server)) {
    return std::nullopt;
  }
  return keys;
}

// --- Credentials

Result<std::shared_ptr<Credentials>> Credentials::create(std::string user, std::string secret) {
  if (!is_user_name(user)) {
    return Status(
        Code::invalid,
        fmt::format("a user's name is 1 to {} letters, digits, '-' and '_'", kMaxUserName));
  }
  if (secret.size() < kMinSecret || secret.size() > kMaxSecret) {
    return Status(Code::invalid, fmt::format("the secret of user {} has {} bytes, and must have {} "
                                             "to {}",
                                             user, secret.size(), kMinSecret, kMaxSecret));
  }
  return std::shared_ptr<Credentials>(new Credentials(std::move(user), std::move(secret)));
}

Result<Credentials::Derived> Credentials::derive(const LoginSalt& salt) {
  if (!derived_ || derived_->salt != salt) {
    Result<Derived> made = derive_from(secret_, salt);
    if (!made.ok()) return made.status();
    derived_ = *made;
  }
  return *derived_;
}

// --- ClientLogin

ClientLogin::ClientLogin(std::shared_ptr<Credentials> credentials)
    : credentials_(std::move(credentials)) {
  append(transcript_, view(random_key()));
  append(transcript_, as_bytes(credentials_->user()));
}

Result<Bytes> ClientLogin::answer(ByteView challenge) {
  ByteReader r(challenge);
  const auto scheme = r.get<std::uint8_t>();
  LoginSalt salt{};
  take(r, salt);
  r.bytes(sizeof(LoginKey));  // the server's nonce
  if (!r.done() || answered_) {
    return Status(Code::unavailable, "the server's challenge is malformed");
  }
  if (scheme != kScheme) {
    return Status(Code::unavailable,
                  fmt::format("the server asks for a proof of kind {}, which this release does not "
                              "know: use the server's",
                              scheme));
  }
  const Result<Credentials::Derived> keys = credentials_->derive(salt);
  if (!keys.ok()) return keys.status();
  const Bytes all = transcript_of(transcript_, challenge);
  const LoginKey proof = both(keys->client, hmac(keys->stored, all));
  expected_ = hmac(keys->server, all);
  answered_ = true;
  const ByteView bytes = view(proof);
  return Bytes(bytes.begin(), bytes.end());
}

Result<Rights> ClientLogin::finish(ByteView proven) const {
  ByteReader r(proven);
  LoginKey signature{};
  take(r, signature);
  const auto rights = r.get<std::uint8_t>();
  if (!r.done() || !answered_ || !same(signature, expected_)) {
    return Status(Code::unavailable,
                  fmt::format("what answers there does not know user {}: it is not the server",
                              credentials_->user()));
  }
  return static_cast<Rights>(rights);
}

// --- ServerLogin

std::optional<std::string> ServerLogin::user_of(ByteView login) {
  if (login.size() <= sizeof(LoginKey)) return std::nullopt;
  const std::string_view name = as_string(login.subspan(sizeof(LoginKey)));
  if (!is_user_name(name)) return std::nullopt;
  return std::string(name);
}

ServerLogin::ServerLogin(ByteView login, const UserKeys& keys) : keys_(keys) {
  challenge_.push_back(std::byte{kScheme});
  append(challenge_, view(keys.salt));
  append(challenge_, view(random_key()));
  transcript_ = transcript_of(login, challenge_);
}

bool ServerLogin::proves(ByteView proof) const {
  ByteReader r(proof);
  LoginKey key{};
  take(r, key);
  return r.done() && same(sha256(both(key, hmac(keys_.stored, transcript_))), keys_.stored);
}

Bytes ServerLogin::proven(Rights rights) const {
  Bytes out;
  append(out, view(hmac(keys_.server, transcript_)));
  out.push_back(std::byte{rights});
  return out;
}

}  // namespace scalio::layout
