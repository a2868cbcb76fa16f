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
    : loop_(loop),
      addresses_(std::move(addresses)),
      settings_(settings),
      options_(std::move(options)),
      space_(std::make_unique_for_overwrite<std::byte[]>(space_of(options_))),
      connect_timer_(loop, [this] { end(Status(Code::timed_out, "no answer in time")); }),
      turn_(loop, [this] { on_turn(); }) {}

TcpQueue::~TcpQueue() {
  close();
  const Status why(Code::unavailable, "the connection was closed here");
  if (protocol_) protocol_->fail(lost_.ok() ? why : lost_);
  for (Submission* request : refused_) request->on_lost(lost_);
}

// --- Connecting ---

auto TcpQueue::settled() {
  struct Awaiter {
    TcpQueue& queue;
    bool await_ready() const noexcept { return queue.phase_ != Phase::connecting; }
    void await_suspend(std::coroutine_handle<> h) noexcept { queue.waiting_ = h; }
    void await_resume() const noexcept {}
  };
  return Awaiter{*this};
}

Task<Status> TcpQueue::connect() {
  SCALIO_ASSERT(phase_ == Phase::idle);
  Status failure = given_up_ ? lost_ : Status(Code::unavailable, "no address to connect to");
  for (std::size_t i = 0; i < addresses_.size() && !given_up_; ++i) {
    // An address that does not answer must leave time for the others.
    const Nanos now = loop_.now();
    const Nanos left = options_.deadline > now ? options_.deadline - now : 0;
    Result<net::UniqueFd> socket = net::start_connecting(addresses_[i]);
    if (!socket.ok()) {
      failure = socket.status();
      continue;
    }
    begin(std::move(*socket), now + left / (addresses_.size() - i));
    co_await settled();
    if (phase_ == Phase::alive) co_return Status();
    failure = lost_;
    // The controller has said something, if only no: its other addresses would say the same.
    if (protocol_->connected()) break;
  }
  phase_ = Phase::lost;
  lost_ = failure;
  co_return failure;
}

void TcpQueue::begin(net::UniqueFd socket, Nanos until) {
  socket_ = std::move(socket);
  protocol_ = std::make_unique<TcpProtocol>(loop_.local<net::SendBuffer::Pool>(), settings_);
  phase_ = Phase::connecting;
  told_ = false;
  hangup_ = false;
  reached_ = heard_ = false;
  connect_timer_.arm(until);
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
}

void TcpQueue::settle(Phase phase) {
  phase_ = phase;
  connect_timer_.cancel();
  if (waiting_) loop_.post(std::exchange(waiting_, nullptr));
}

// --- Running ---

void TcpQueue::submit(Submission& request) {
  SCALIO_ASSERT(phase_ == Phase::alive || phase_ == Phase::lost);
  if (phase_ == Phase::alive) {
    protocol_->submit(request);
  } else {
    refused_.push_back(&request);
  }
  turn_.schedule();
}

void TcpQueue::on_turn() {
  if (receive_again_ && socket_) receive();
  if (socket_) flush();
  if (phase_ != Phase::lost) return;
  if (protocol_) protocol_->fail(lost_);
  for (Submission* request : std::exchange(refused_, {})) request->on_lost(lost_);
  if (!std::exchange(told_, true) && options_.on_lost) options_.on_lost(lost_);
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
    if (phase_ == Phase::connecting && protocol_->connected()) settle(Phase::alive);
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

void TcpQueue::lose(Status why) {
  given_up_ = true;
  if (phase_ == Phase::idle) lost_ = why;
  end(std::move(why));
}

void TcpQueue::end(Status why) {
  if (phase_ != Phase::connecting && phase_ != Phase::alive) return;
  lost_ = std::move(why);
  // A TermReq, as far as the socket takes it at once.
  const ByteView last = protocol_->out().bytes();
  if (!last.empty())
    (void)!send(socket_.get(), last.data(), last.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  close();
  if (phase_ == Phase::connecting) {
    told_ = true;  // connect() says it
    settle(Phase::lost);
  } else {
    phase_ = Phase::lost;
    turn_.schedule();
  }
}

void TcpQueue::close() {
  readable_.reset();
  writable_.reset();
  connect_timer_.cancel();
  receive_again_ = false;
  // The kernel's poll holds the socket a little longer: closing alone would not tell the peer.
  if (socket_) shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
}

}  // namespace scalio::nvmf
