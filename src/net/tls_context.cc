#include "net/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/read_file.h"

namespace scalio::net {

namespace {

constexpr std::size_t kMostOfAFile = 1024 * 1024;
constexpr std::size_t kShortestKey = 16, kLongestKey = 64, kLongestIdentity = 128;  // bytes
// Of the certificates that the other end sends.
constexpr long kLongestChain = 32 * 1024;
// The hash of a pre-shared key's session is that of its cipher: one, so that both ends agree.
constexpr char kKeyCipher[] = "TLS_AES_128_GCM_SHA256";
constexpr unsigned char kKeyCipherId[] = {0x13, 0x01};

Status wrong(const std::string& path, std::string_view what) {
  return {Code::invalid, fmt::format("{}: {}", path, what)};
}

// What stands in it is as good as a password.
Result<std::string> read_secret(const std::string& path) {
  struct stat st {};
  if (stat(path.c_str(), &st) == 0 && (st.st_mode & S_IRWXO) != 0) {
    return wrong(path, "everybody may read it or write to it; run chmod o= on it");
  }
  Result<std::string> text = read_file(path, kMostOfAFile);
  if (!text.ok()) return Status(Code::invalid, text.status().message());
  return text;
}

Status check_readable(const std::string& path) {
  const Result<std::string> text = read_file(path, kMostOfAFile);
  return text.ok() ? Status() : Status(Code::invalid, text.status().message());
}

int no_password(char*, int, int, void*) { return -1; }

const TlsContext& context_of(SSL* ssl) {
  return *static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

SSL_SESSION* session_of(SSL* ssl, const std::string& key) {
  SSL_SESSION* session = SSL_SESSION_new();
  if (session == nullptr) return nullptr;
  if (SSL_SESSION_set1_master_key(session, reinterpret_cast<const unsigned char*>(key.data()),
                                  key.size()) == 1 &&
      SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, kKeyCipherId)) == 1 &&
      SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1) {
    return session;
  }
  SSL_SESSION_free(session);
  return nullptr;
}

// A client's: which key it says that it has.
int offer_key(SSL* ssl, const EVP_MD* hash, const unsigned char** identity, std::size_t* size,
              SSL_SESSION** session) {
  *session = nullptr;
  const auto& [name, key] = *context_of(ssl).keys().begin();
  SSL_SESSION* made = session_of(ssl, key);
  if (made == nullptr) return 0;
  if (hash != nullptr && SSL_CIPHER_get_handshake_digest(SSL_SESSION_get0_cipher(made)) != hash) {
    SSL_SESSION_free(made);
    return 1;  // none for this hash
  }
  *identity = reinterpret_cast<const unsigned char*>(name.data());
  *size = name.size();
  *session = made;
  return 1;
}

// A server's: the key that the client says it has. For an identity that nobody has it is one that
// nobody knows: who guesses does not learn which identities there are.
int find_key(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
  *session = nullptr;
  const auto& keys = context_of(ssl).keys();
  const auto found = keys.find(std::string_view(reinterpret_cast<const char*>(identity), size));
  std::string nobodys(32, '\0');
  if (found == keys.end() &&
      RAND_bytes(reinterpret_cast<unsigned char*>(nobodys.data()), 32) != 1) {
    return 0;
  }
  *session = session_of(ssl, found == keys.end() ? nobodys : found->second);
  return *session != nullptr ? 1 : 0;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Which files go together.
Status check_files(TlsContext::Role role, const TlsFiles& files) {
  if (!files.psk.empty()) {
    if (files.cert.empty() && files.key.empty() && files.ca.empty()) return Status();
    return {
        Code::invalid,
        "TLS: pre-shared keys are in place of certificates: either a file of keys (tls-psk), or "
        "certificate, key and CA (tls-cert, tls-key, tls-ca)"};
  }
  if (files.cert.empty() != files.key.empty()) {
    return {Code::invalid,
            "TLS: a certificate and its private key are given together (tls-cert, tls-key)"};
  }
  if (role == TlsContext::Role::server && files.cert.empty()) {
    return {Code::invalid,
            "TLS: a server needs a certificate and its key (tls-cert, tls-key), or pre-shared keys "
            "(tls-psk)"};
  }
  if (role == TlsContext::Role::client && files.ca.empty()) {
    return {Code::invalid,
            "TLS: a client needs the CA that has signed the server's certificate (tls-ca), or a "
            "pre-shared key (tls-psk)"};
  }
  return Status();
}

}  // namespace

std::string tls_reason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error == 0) return "no reason is known";
  if (ERR_SYSTEM_ERROR(error)) return std::strerror(static_cast<int>(ERR_GET_REASON(error)));
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : fmt::format("error {:#x}", error);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Status TlsContext::create() {
  // A Client may be destroyed after what is registered here with atexit().
  OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
  context_ = SSL_CTX_new(role_ == Role::server ? TLS_server_method() : TLS_client_method());
  if (context_ == nullptr) return {Code::unavailable, "TLS: " + tls_reason()};
  SSL_CTX_set_app_data(context_, this);
  SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context_, TLS1_3_VERSION);
  // No session is resumed: connections live long, and tickets would cost each of them.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  SSL_CTX_set_max_cert_list(context_, kLongestChain);
  // An idle connection holds no buffer.
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  // It would ask at the terminal.
  SSL_CTX_set_default_passwd_cb(context_, no_password);
  if (role_ == Role::client) SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  return Status();
}

Status TlsContext::use_certificates(const TlsFiles& files) {
  if (!files.ca.empty()) {
    if (Status s = check_readable(files.ca); !s.ok()) return s;
    if (SSL_CTX_load_verify_file(context_, files.ca.c_str()) != 1) {
      return wrong(files.ca, "no certificates of a CA: " + tls_reason());
    }
    if (role_ == Role::server) {
      SSL_CTX_set_client_CA_list(context_, SSL_load_client_CA_file(files.ca.c_str()));
      SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
  }
  if (files.cert.empty()) return Status();
  if (Status s = check_readable(files.cert); !s.ok()) return s;
  if (SSL_CTX_use_certificate_chain_file(context_, files.cert.c_str()) != 1) {
    return wrong(files.cert, "no certificate: " + tls_reason());
  }
  if (const Result<std::string> key = read_secret(files.key); !key.ok()) return key.status();
  if (SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return wrong(files.key, fmt::format("no private key without a password that belongs to {}: {}",
                                        files.cert, tls_reason()));
  }
  return Status();
}

Status TlsContext::take_key(std::string_view line) {
  const std::size_t colon = line.rfind(':');
  if (colon == line.npos) return {Code::invalid, "no colon between identity and key"};
  const std::string_view digits = line.substr(colon + 1);
  if (colon == 0 || colon > kLongestIdentity) {
    return {Code::invalid, fmt::format("an identity has 1 to {} bytes", kLongestIdentity)};
  }
  const bool hex = std::ranges::all_of(digits, [](char c) { return hex_digit(c) >= 0; });
  if (!hex || digits.size() % 2 != 0 || digits.size() < 2 * kShortestKey ||
      digits.size() > 2 * kLongestKey) {
    return {Code::invalid, fmt::format("a key is {} to {} bytes in hexadecimal digits",
                                       kShortestKey, kLongestKey)};
  }
  std::string key;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    key += static_cast<char>(hex_digit(digits[i]) * 16 + hex_digit(digits[i + 1]));
  }
  if (!keys_.emplace(line.substr(0, colon), std::move(key)).second) {
    return {Code::invalid, "the identity is there twice"};
  }
  return Status();
}

Status TlsContext::use_keys(const std::string& path) {
  const Result<std::string> text = read_secret(path);
  if (!text.ok()) return text.status();
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    if (const Status s = take_key(line); !s.ok()) {
      return wrong(path, fmt::format("line {}: {}", number, s.message()));
    }
  }
  if (keys_.empty()) return wrong(path, "no line \"identity:key\"");
  if (role_ == Role::client && keys_.size() > 1) {
    return wrong(path, fmt::format("{} keys: a client has one", keys_.size()));
  }
  SSL_CTX_set_ciphersuites(context_, kKeyCipher);
  if (role_ == Role::client) {
    SSL_CTX_set_psk_use_session_callback(context_, offer_key);
  } else {
    SSL_CTX_set_psk_find_session_callback(context_, find_key);
  }
  return Status();
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(Role role, const TlsFiles& files) {
  if (Status s = check_files(role, files); !s.ok()) return s;
  std::shared_ptr<TlsContext> made(new TlsContext(role));
  if (Status s = made->create(); !s.ok()) return s;
  Status s = files.psk.empty() ? made->use_certificates(files) : made->use_keys(files.psk);
  if (!s.ok()) return s;
  return std::shared_ptr<const TlsContext>(std::move(made));
}

}  // namespace scalio::net
