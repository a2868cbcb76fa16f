// StreamSocket: a connected socket, bare or under TLS: who has one reads and writes the same bytes
// in both cases. It does not wait; what watches the socket watches fd().
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "net/tls_session.h"
#include "net/unique_fd.h"

namespace scalio::net {

class StreamSocket {
 public:
  StreamSocket() = default;
  StreamSocket(UniqueFd fd) : fd_(std::move(fd)) {}  // NOLINT: it is one
  // Under TLS. `peer` as of TlsSession.
  StreamSocket(UniqueFd fd, std::shared_ptr<const TlsContext> tls, const std::string& peer);

  explicit operator bool() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  bool tls() const { return tls_ != nullptr; }
  // The handshake is over, if there is one.
  bool established() const { return !tls_ || tls_->established(); }

  // `bytes` as recv() returns it, and sets errno: EPROTO is a failure of TLS. 0: the other end has
  // ended the stream. `emptied`: what comes later will be seen as a change of readiness. `taken`:
  // off the socket, which is more under TLS.
  struct Received {
    ssize_t bytes = 0;
    bool emptied = false;
    std::size_t taken = 0;
  };
  Received receive(ByteSpan into);
  // As send() returns it. Under TLS 0 means that the handshake waits for the other end, and what
  // was taken may still be here: then unsent().
  ssize_t send(ByteView bytes);
  // Something is here that was taken. A send(), of nothing if there is nothing, sends it on.
  bool unsent() const { return tls_ && !tls_->unsent().empty(); }
  // What an errno of these means here.
  std::string reason(int error) const;

  // Ends the stream for both sides: with TLS's close_notify, as far as that goes at once.
  void close();

 private:
  ssize_t send_encrypted();

  UniqueFd fd_;
  std::unique_ptr<TlsSession> tls_;
  Bytes come_;            // received, while its reader took no more; 64 KiB at most
  bool emptied_ = false;  // by the last receive
  bool cut_off_ = false;  // without close_notify
};

}  // namespace scalio::net
