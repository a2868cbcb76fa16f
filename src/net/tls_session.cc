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

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, const std::string& peer)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  BIO* bio = BIO_new(bytes_method());
  SCALIO_ASSERT(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (context_->role() == TlsContext::Role::server) {
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
  failure_ = "TLS: " + tls_reason();
  if (verified != X509_V_OK)
    failure_ += fmt::format(": {}", X509_verify_cert_error_string(verified));
  if (!established_ && context_->role() == TlsContext::Role::server && !context_->keys().empty()) {
    failure_ += ": the other end has none of the pre-shared keys";
  }
  return false;
}

std::size_t TlsSession::receive(ByteView& come, ByteSpan into) {
  come_ = come;
  std::size_t have = 0;
  while (have < into.size() && !ended_ && !failed()) {
    std::size_t n = 0;
    ERR_clear_error();
    if (!check(SSL_read_ex(ssl_, into.data() + have, into.size() - have, &n))) break;
    have += n;
  }
  come = std::exchange(come_, {});
  return have;
}

std::size_t TlsSession::send(ByteView plain) {
  std::size_t taken = 0;
  while (!failed()) {
    std::size_t n = 0;
    ERR_clear_error();
    if (!established_ && !check(SSL_do_handshake(ssl_))) break;
    if (taken == plain.size()) break;
    if (!check(SSL_write_ex(ssl_, plain.data() + taken, plain.size() - taken, &n))) break;
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
