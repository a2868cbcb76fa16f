#include "net/tls_session.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace scalio::net {

namespace {

TlsSession& session_of(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

int read_come(BIO* bio, char* into, std::size_t size, std::size_t* got) {
  BIO_clear_retry_flags(bio);
  *got = session_of(bio).take({reinterpret_cast<std::byte*>(into), size});
  if (*got > 0) return 1;
  BIO_set_retry_read(bio);
  return 0;
}

int write_unsent(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  session_of(bio).give({reinterpret_cast<const std::byte*>(bytes), size});
  *written = size;
  return 1;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* bytes_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "scalio");
    SCALIO_ASSERT(made != nullptr);
    BIO_meth_set_read_ex(made, read_come);
    BIO_meth_set_write_ex(made, write_unsent);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

// What a certificate must name: an address as such, or a name.
void expect_host(SSL* ssl, const std::string& host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1) return;
  ERR_clear_error();
  SSL_set1_host(ssl, host.c_str());
  SSL_set_tlsext_host_name(ssl, host.c_str());
}

using Role = TlsContext::Role;

// What to look at, for who reads of it in a log or in an error.
struct Advice {
  int reason;  // OpenSSL's
  std::string_view client, server;
};
constexpr std::string_view kDistrusted = "the other end does not believe this end's certificate";
constexpr std::string_view kKeyRefused =
    "the server does not have this pre-shared key (tls-psk), or it has certificates in place of "
    "keys";
// To a client that has none.
constexpr std::string_view kKeyWanted =
    "the server has pre-shared keys in place of certificates: this client needs one of them "
    "(tls-psk)";
constexpr Advice kAdvice[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "the server does not speak TLS there: write tcp: if it is to be",
     "the client does not speak TLS, as it must here"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, kDistrusted, kDistrusted},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, kDistrusted, kDistrusted},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, kDistrusted, kDistrusted},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
     "the server serves who has a certificate alone (tls-cert, tls-key)",
     {}},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, kKeyRefused, {}},
    {SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, kKeyRefused, {}},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, kKeyRefused, {}},
};

std::string_view advice_on(int reason, const TlsContext& context) {
  const Role role = context.role();
  const bool keyless = role == Role::client && context.keys().empty();
  if (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE && keyless) return kKeyWanted;
  const auto* found = std::ranges::find(kAdvice, reason, &Advice::reason);
  if (found == std::end(kAdvice)) return {};
  return role == Role::client ? found->client : found->server;
}

// Of a certificate that was not believed.
std::string_view advice_on_certificate(long verified) {
  switch (verified) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return ": the CA that is given here (tls-ca) has not signed it";
    case X509_V_ERR_CERT_HAS_EXPIRED: return ": the other end needs a new one";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return ": the server's must name the host of its address (subjectAltName)";
    default: return {};
  }
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, const std::string& peer)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  BIO* bio = BIO_new(bytes_method());
  SCALIO_ASSERT(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (context_->role() == Role::server) {
    SSL_set_accept_state(ssl_);
  } else {
    expect_host(ssl_, peer);
    SSL_set_connect_state(ssl_);
  }
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

std::size_t TlsSession::take(ByteSpan into) {
  const std::size_t n = std::min(into.size(), come_.size());
  copy_bytes(come_.first(n), into.data());
  come_ = come_.subspan(n);
  return n;
}

void TlsSession::sent(std::size_t bytes) {
  gone_ += bytes;
  if (gone_ < out_.size()) return;
  out_ = Bytes();  // an idle connection holds no buffer
  gone_ = 0;
}

// Of what a call returned: whether it has done what it was asked for. If not, it waits for more
// bytes, or has ended, or failed.
bool TlsSession::check(int result) {
  established_ = established_ || SSL_is_init_finished(ssl_) == 1;
  if (result == 1) return true;
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return false;
  if (error == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
    return false;
  }
  const long verified = SSL_get_verify_result(ssl_);
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  const std::string_view advice = advice_on(reason, *context_);
  failure_ = "TLS: " + tls_reason();
  if (!advice.empty()) failure_ += fmt::format(": {}", advice);
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    failure_ += fmt::format(": {}{}", X509_verify_cert_error_string(verified),
                            advice_on_certificate(verified));
  }
  if (!established_ && context_->role() == Role::server && !context_->keys().empty()) {
    failure_ += ": the other end has none of the pre-shared keys";
  }
  return false;
}

std::size_t TlsSession::receive(ByteView& come, ByteSpan into) {
  const std::size_t before = come.size();
  come_ = come;
  std::size_t have = 0;
  while (have < into.size() && !ended_ && !failed()) {
    std::size_t n = 0;
    ERR_clear_error();
    if (!check(SSL_read_ex(ssl_, into.data() + have, into.size() - have, &n))) break;
    have += n;
  }
  come = std::exchange(come_, {});
  count_overhead(before - come.size(), have);
  return have;
}

// Records of one byte of data are the least that an honest peer sends: 22 bytes more than that.
void TlsSession::count_overhead(std::size_t taken, std::size_t data) {
  constexpr std::size_t kOfAByte = 24;
  overhead_ += taken;
  overhead_ -= std::min(overhead_, kOfAByte * data);
  if (overhead_ > kMostOverhead && !failed()) {
    failure_ = fmt::format("TLS: more than {} KiB of records without data", kMostOverhead >> 10);
  }
}

std::size_t TlsSession::send(ByteView plain) {
  std::size_t taken = 0;
  while (!failed()) {
    std::size_t n = 0;
    ERR_clear_error();
    if (!established_ && !check(SSL_do_handshake(ssl_))) break;
    if (taken == plain.size()) break;
    if (!check(SSL_write_ex(ssl_, plain.data() + taken, plain.size() - taken, &n))) {
      // OpenSSL writes nothing while it has a part of such a message. Who splits one of five bytes
      // wants that.
      if (!failed()) failure_ = "TLS: a message of the handshake that is split";
      break;
    }
    taken += n;
  }
  return taken;
}

void TlsSession::close() {
  if (!established_ || failed()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

}  // namespace scalio::net
