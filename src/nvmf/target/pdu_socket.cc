#include "nvmf/target/pdu_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace scalio::nvmf {

namespace {
// Received before others on the loop have their turn.
constexpr std::size_t kReceiveAtOnce = 1024 * 1024;
// How long a peer may take to close its end.
constexpr Nanos kLinger = 2 * kSecond;
}  // namespace

std::shared_ptr<PduSocket> PduSocket::create(EventLoop& loop, net::UniqueFd socket,
                                             PduHandler& handler, ByteSpan space,
                                             Nanos stall_timeout) {
  auto created = std::make_shared<PduSocket>(Private{}, loop, std::move(socket), handler, space,
                                             stall_timeout);
  PduSocket* s = created.get();
  // Hangups are watched for too, so that a receive that does not fill its space has emptied the
  // socket.
  s->readable_.emplace(loop, s->socket_.get(), POLLIN | POLLRDHUP, [s](std::uint32_t events) {
    s->hangup_ |= (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    s->receive();
  });
  return created;
}

PduSocket::PduSocket(Private, EventLoop& loop, net::UniqueFd socket, PduHandler& handler,
                     ByteSpan space, Nanos stall_timeout)
    : loop_(loop),
      socket_(std::move(socket)),
      handler_(&handler),
      space_(space),
      stall_timeout_(stall_timeout),
      later_(loop,
             [this] {
               const auto self = shared_from_this();
               if (receive_again_) receive();
               flush();
             }),
      timer_(loop, [this] { on_time(); }) {}

PduSocket::~PduSocket() { SCALIO_ASSERT(state_ == State::closed); }

// --- Receiving ---

// Receives until the socket is empty: its watch tells of changes only.
void PduSocket::receive() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();  // the handler may let go of it
  receiving_ = true;
  receive_again_ = false;
  std::byte* const space = space_.data();
  std::size_t have = partial_.size();
  copy_bytes(partial_, space);
  partial_ = {};
  for (std::size_t received = 0;;) {
    const std::size_t room = space_.size() - have;
    SCALIO_ASSERT(room > 0);
    const ssize_t n = recv(socket_.get(), space + have, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      receiving_ = false;
      return lose(Status(Code::unavailable, n == 0 ? "the host closed the connection"
                                                   : std::string(std::strerror(errno))));
    }
    have += static_cast<std::size_t>(n);
    received += static_cast<std::size_t>(n);
    const std::size_t taken = state_ == State::open ? handler_->on_received({space, have}) : have;
    if (state_ == State::closed) return;
    if (state_ == State::finishing) {
      have = 0;
    } else {
      have -= taken;
      std::memmove(space, space + taken, have);
    }
    if (static_cast<std::size_t>(n) < room && !hangup_) break;
    if (received >= kReceiveAtOnce) {
      receive_again_ = true;
      later_.schedule();
      break;
    }
  }
  end_receiving({space, have});
}

void PduSocket::begin_with(ByteView received) {
  const auto self = shared_from_this();
  receiving_ = true;
  const std::size_t taken = handler_->on_received(received);
  if (state_ == State::closed) return;
  end_receiving(state_ == State::open ? received.subspan(taken) : ByteView());
}

void PduSocket::end_receiving(ByteView rest) {
  receiving_ = false;
  partial_.assign(rest.begin(), rest.end());
  if (state_ == State::open && peer_owes()) {
    sent_at_ = loop_.now();
    watch_time();
  }
  flush();
}

// --- Sending ---

void PduSocket::send(ByteView piece, void* token) {
  if (state_ != State::open) return;
  pieces_.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  tokens_.push_back(token);
  if (!receiving_ && !flushing_ && !writable_) later_.schedule();
}

void PduSocket::flush() {
  if (state_ == State::closed || flushing_) return;
  const auto self = shared_from_this();
  flushing_ = true;
  while (queued()) {
    const int error = send_queued();
    if (state_ == State::closed) return;
    if (error == EAGAIN) {
      // What has been sent is forgotten also while there is always more.
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
      tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
      if (!writable_) {
        took_at_ = loop_.now();
        watch_time();
        writable_.emplace(loop_, socket_.get(), POLLOUT,
                          [this](std::uint32_t) { later_.schedule(); });
      }
      flushing_ = false;
      return;
    }
    if (error != 0) return lose(Status(Code::unavailable, std::strerror(error)));
    handler_->on_drained();  // which may queue more
    if (state_ == State::closed) return;
  }
  flushing_ = false;
  writable_.reset();
  if (state_ == State::finishing && !std::exchange(said_end_, true))
    shutdown(socket_.get(), SHUT_WR);
}

// Sends until nothing is queued or the socket takes no more. Returns 0, or the error: EAGAIN for
// the latter.
int PduSocket::send_queued() {
  while (queued()) {
    msghdr message{};
    message.msg_iov = pieces_.data() + first_;
    message.msg_iovlen = std::min<std::size_t>(pieces_.size() - first_, IOV_MAX);
    const ssize_t n = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (writable_) took_at_ = loop_.now();
    advance(static_cast<std::size_t>(n));
    if (state_ == State::closed) return 0;
  }
  pieces_.clear();
  tokens_.clear();
  first_ = 0;
  return 0;
}

void PduSocket::advance(std::size_t sent) {
  while (sent > 0) {
    iovec& piece = pieces_[first_];
    if (sent < piece.iov_len) {
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + sent;
      piece.iov_len -= sent;
      return;
    }
    sent -= piece.iov_len;
    void* const token = tokens_[first_++];
    if (token != nullptr) handler_->on_sent(token);
  }
}

// --- Time ---

void PduSocket::watch_time() {
  if (!timer_.armed()) timer_.arm(loop_.now() + stall_timeout_);
}

void PduSocket::on_time() {
  if (state_ == State::finishing)
    return lose(Status(Code::timed_out, "the host does not close the connection"));
  const Nanos now = loop_.now();
  const bool takes_nothing = writable_ && now - took_at_ >= stall_timeout_;
  const bool sends_nothing = peer_owes() && now - sent_at_ >= stall_timeout_;
  if (takes_nothing || sends_nothing) {
    return lose(Status(Code::timed_out,
                       fmt::format("the host {} for {} ms",
                                   takes_nothing ? "takes nothing of what it asked for"
                                                 : "does not go on with what it began to send",
                                   stall_timeout_ / kMillisecond)));
  }
  if (writable_ || peer_owes())
    timer_.arm(std::min(writable_ ? took_at_ : now, peer_owes() ? sent_at_ : now) + stall_timeout_);
}

// --- The end ---

void PduSocket::finish() {
  if (state_ != State::open) return;
  state_ = State::finishing;
  timer_.arm(loop_.now() + kLinger);
  if (!receiving_ && !flushing_) later_.schedule();
}

void PduSocket::lose(Status why) {
  if (why.code() == Code::timed_out) {
    // What it does not take, the kernel need not keep for it either.
    const linger none{1, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }
  PduHandler& handler = *handler_;
  close();
  handler.on_lost(why);
}

net::UniqueFd PduSocket::release() {
  SCALIO_ASSERT(state_ == State::open && receiving_);
  const bool sent = send_queued() == 0;
  if (state_ == State::closed) return {};
  if (!sent) {
    close();
    return {};
  }
  end_watching();
  return std::move(socket_);
}

void PduSocket::end_watching() {
  state_ = State::closed;
  readable_.reset();
  writable_.reset();
  timer_.cancel();
}

void PduSocket::close() {
  if (state_ == State::closed) return;
  end_watching();
  // The kernel's poll holds the socket a little longer: closing alone would not tell the peer.
  shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
  pieces_.clear();
  tokens_.clear();
  first_ = 0;
}

}  // namespace scalio::nvmf
