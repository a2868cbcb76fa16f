#include "net/stream_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace scalio::net {

namespace {

// Received or encrypted in one piece.
constexpr std::size_t kPiece = 64 * 1024;

ByteSpan receive_space() {
  thread_local const std::unique_ptr<std::byte[]> space =
      std::make_unique_for_overwrite<std::byte[]>(kPiece);
  return {space.get(), kPiece};
}

}  // namespace

StreamSocket::StreamSocket(UniqueFd fd, std::shared_ptr<const TlsContext> tls,
                           const std::string& peer)
    : fd_(std::move(fd)), tls_(std::make_unique<TlsSession>(std::move(tls), peer)) {}

StreamSocket::Received StreamSocket::receive(ByteSpan into) {
  if (!tls_) {
    const ssize_t n = recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
    if (n < 0) return {n, false};
    const auto bytes = static_cast<std::size_t>(n);
    return {n, bytes < into.size(), bytes};
  }
  ByteView come(come_);
  // Without data it takes no more than TlsSession::kMostOverhead at once.
  for (std::size_t taken = 0;;) {
    const std::size_t n = tls_->receive(come, into);
    come_ = Bytes(come.begin(), come.end());
    if (n > 0) {
      // An end or a failure behind these bytes is for the next call.
      return {static_cast<ssize_t>(n),
              n < into.size() && emptied_ && !tls_->ended() && !tls_->failed(), taken};
    }
    if (tls_->ended()) return {0, false};
    if (tls_->failed()) {
      send_encrypted();  // what tells the other end
      errno = EPROTO;
      return {-1, false};
    }
    const ByteSpan space = receive_space();
    const ssize_t got = recv(fd(), space.data(), space.size(), MSG_DONTWAIT);
    if (got == 0) {
      cut_off_ = tls_->established();
      errno = ECONNABORTED;
      return {-1, false};
    }
    if (got < 0) return {got, errno == EAGAIN};
    emptied_ = static_cast<std::size_t>(got) < space.size();
    come = space.first(static_cast<std::size_t>(got));
    taken += come.size();
  }
}

ssize_t StreamSocket::send_encrypted() {
  while (!tls_->unsent().empty()) {
    const ByteView bytes = tls_->unsent();
    const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return n;
    tls_->sent(static_cast<std::size_t>(n));
  }
  return 0;
}

ssize_t StreamSocket::send(ByteView bytes) {
  if (!tls_) return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (send_encrypted() < 0) return -1;
  const std::size_t taken = tls_->send(bytes.first(std::min(bytes.size(), kPiece)));
  // What the socket does not take now is unsent(), and its error comes again.
  send_encrypted();
  if (tls_->failed()) {
    errno = EPROTO;
    return -1;
  }
  return static_cast<ssize_t>(taken);
}

std::string StreamSocket::reason(int error) const {
  if (error == EPROTO && tls_ && tls_->failed()) return tls_->failure();
  if (error == ECONNABORTED && tls_) {
    return cut_off_ ? "the connection was cut off, without TLS's close_notify"
                    : "the peer closed the connection before TLS's handshake was over";
  }
  return std::strerror(error);
}

void StreamSocket::close() {
  if (!fd_) return;
  if (tls_) {
    tls_->close();
    send_encrypted();
  }
  // The kernel's poll holds the socket a little longer: closing alone would not tell the peer.
  shutdown(fd(), SHUT_RDWR);
  fd_.reset();
}

}  // namespace scalio::net
