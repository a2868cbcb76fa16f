#include "nvmf/host/tcp_queue.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace scalio::nvmf {

namespace {
// What one system call receives beside the data that goes straight to its place.
constexpr std::size_t kAdminSpace = 16 * 1024;
constexpr std::size_t kIoSpace = 256 * 1024;
// Received before others on the loop have their turn.
constexpr std::size_t kReceiveAtOnce = 1024 * 1024;
// The first byte of a TLS record that refuses; no PDU begins with it.
constexpr std::byte kTlsAlert{0x15};

std::size_t space_of(const QueueOptions& options) {
  return options.id == 0 ? kAdminSpace : kIoSpace;
}
}  // namespace

TcpQueue::TcpQueue(EventLoop& loop, std::vector<net::Address> addresses,
                   TcpProtocol::Settings settings, QueueOptions options)
    : ConnectingQueue(loop, std::move(addresses), std::move(options)),
      settings_(settings),
      space_(std::make_unique_for_overwrite<std::byte[]>(space_of(options_))) {}

TcpQueue::~TcpQueue() {
  close();
  lose_all();
}

// --- Connecting ---

Status TcpQueue::begin(const net::Address& address) {
  Result<net::UniqueFd> socket = net::start_connecting(address);
  if (!socket.ok()) return socket.status();
  socket_ = *std::move(socket);
  protocol_ = std::make_unique<TcpProtocol>(loop_.local<net::SendBuffer::Pool>(), settings_);
  hangup_ = false;
  reached_ = heard_ = false;
  writable_.emplace(loop_, socket_.get(), POLLOUT, [this](std::uint32_t) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end(Status(Code::unavailable, std::strerror(error)));
    reached_ = true;
    turn_.schedule();
  });
  // Hangups are watched for, so that before one a receive that does not fill its space has emptied
  // the socket.
  readable_.emplace(loop_, socket_.get(), POLLIN | POLLRDHUP, [this](std::uint32_t events) {
    hangup_ |= (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    receive();
    if (!protocol_->out().empty()) turn_.schedule();
  });
  return Status();
}

// --- Running ---

void TcpQueue::submit(Submission& request) {
  if (!alive()) return refuse(request);
  protocol_->submit(request);
  turn_.schedule();
}

void TcpQueue::replace(Submission& late, Submission& by) {
  if (!replace_refused(late, by)) protocol_->replace(late, by);
}

void TcpQueue::on_turn() {
  if (receive_again_ && socket_) receive();
  if (socket_) flush();
}

void TcpQueue::lose_requests(const Status& why) {
  if (protocol_) protocol_->fail(why);
}

void TcpQueue::receive() {
  const std::size_t space = space_of(options_);
  receive_again_ = false;
  for (std::size_t received = 0; received < kReceiveAtOnce;) {
    // What is behind the data that goes to its place is received with it.
    const ByteSpan landing = protocol_->landing();
    iovec parts[] = {{landing.data(), landing.size()}, {space_.get(), space}};
    msghdr message{};
    message.msg_iov = landing.empty() ? parts + 1 : parts;
    message.msg_iovlen = landing.empty() ? 1 : 2;
    const ssize_t n = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      return end(gone(n == 0 ? "the controller closed the connection" : std::strerror(errno)));
    }
    const auto got = static_cast<std::size_t>(n);
    if (!std::exchange(heard_, true) && space_[0] == kTlsAlert) {
      return end(Status(Code::unavailable, "the port demands TLS, which is not supported"));
    }
    const std::size_t landed = std::min(got, landing.size());
    Status status;
    if (landed > 0) status = protocol_->landed(landed);
    if (status.ok()) status = protocol_->receive({space_.get(), got - landed});
    if (!status.ok()) return end(status);
    if (connecting() && protocol_->connected()) connected();
    if (!socket_) return;
    received += got;
    if (got < landing.size() + space && !hangup_) return;
  }
  receive_again_ = true;
  turn_.schedule();
}

void TcpQueue::flush() {
  net::SendBuffer& out = protocol_->out();
  while (!out.empty()) {
    const ssize_t n =
        send(socket_.get(), out.bytes().data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!writable_) {
        writable_.emplace(loop_, socket_.get(), POLLOUT,
                          [this](std::uint32_t) { turn_.schedule(); });
      }
      return;
    }
    if (n < 0) {
      const int error = errno;
      // What the controller said before it went away, perhaps why, is still there to be read.
      hangup_ = true;
      receive();
      return end(gone(std::strerror(error)));
    }
    out.consume(static_cast<std::size_t>(n));
    protocol_->refill();
  }
  writable_.reset();
}

// --- The end ---

// The connection has ended, or was reset, from the other side.
Status TcpQueue::gone(std::string why) const {
  // What a port does that understands nothing of what it hears.
  if (reached_ && !heard_)
    why += " before it said anything: perhaps the port demands TLS, which is not supported";
  return Status(Code::unavailable, std::move(why));
}

void TcpQueue::stop() {
  // A TermReq, as far as the socket takes it at once.
  const ByteView last = protocol_->out().bytes();
  if (!last.empty())
    (void)!send(socket_.get(), last.data(), last.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  close();
}

void TcpQueue::close() {
  readable_.reset();
  writable_.reset();
  receive_again_ = false;
  // The kernel's poll holds the socket a little longer: closing alone would not tell the peer.
  if (socket_) shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
}

}  // namespace scalio::nvmf
