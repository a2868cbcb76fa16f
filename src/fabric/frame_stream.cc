#include "fabric/frame_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error_text.h"

namespace scalio::fabric {

namespace {

constexpr std::size_t kReceiveSpace = 512 * 1024;
static_assert(kReceiveSpace > kFrameHeader + kMaxPayload, "a frame must fit");
// Received before others on the loop have their turn.
constexpr std::size_t kReceiveAtOnce = 1024 * 1024;
// Queued before it is sent without waiting for the turn's end.
constexpr std::size_t kSendAtOnce = 256 * 1024;
constexpr std::size_t kMaxDescriptors = 2;

}  // namespace

// Where a loop's streams receive; between calls they keep only what is not a whole frame yet.
struct ReceiveSpace {
  std::unique_ptr<std::byte[]> bytes = std::make_unique_for_overwrite<std::byte[]>(kReceiveSpace);
  bool in_use = false;
};

Detached FrameStream::later(std::shared_ptr<FrameStream> self) {
  co_await self->loop_.yield();
  self->on_turn();
}

void FrameStream::defer() {
  if (deferred_) return;
  deferred_ = true;
  later(shared_from_this());
}

std::shared_ptr<FrameStream> FrameStream::create(EventLoop& loop, net::StreamSocket socket,
                                                 Handler& handler, StreamLimits limits) {
  auto stream = std::make_shared<FrameStream>(Private{}, loop, std::move(socket), handler, limits);
  // Hangups are watched for too, so that reading until a short receive is enough: see
  // read_frames().
  FrameStream* s = stream.get();
  s->readable_.emplace(loop, s->socket_.fd(), POLLIN | POLLRDHUP, [s](std::uint32_t events) {
    s->hangup_ |= (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    s->read_frames();
  });
  return stream;
}

FrameStream::FrameStream(Private, EventLoop& loop, net::StreamSocket socket, Handler& handler,
                         StreamLimits limits)
    : loop_(loop),
      receiving_(loop.local<ReceiveSpace>()),
      socket_(std::move(socket)),
      handler_(&handler),
      limits_(limits),
      out_(loop.local<net::SendBuffer::Pool>()),
      stall_timer_(
          loop,
          [this] {
            if (sent_since_stall_ > 0) {
              sent_since_stall_ = 0;
              stall_timer_.arm(loop_.now() + limits_.stall_timeout);
            } else {
              lose(Status(Code::timed_out, fmt::format("the peer took nothing of {} bytes for {} s",
                                                       queued(), limits_.stall_timeout / kSecond)));
            }
          }),
      frame_timer_(loop, [this] { check_frame(); }) {}

FrameStream::~FrameStream() { SCALIO_ASSERT(state_ == State::stopped); }

void FrameStream::send(FrameKind kind, std::uint64_t id, ByteView payload) {
  if (open()) copy_bytes(payload, send_space(kind, id, payload.size()).data());
}

ByteSpan FrameStream::send_space(FrameKind kind, std::uint64_t id, std::size_t size) {
  SCALIO_ASSERT(open());
  // So that the buffer stays in the CPU's caches. An error shows again in flush(), which can handle
  // it.
  if (queued() >= kSendAtOnce && !writable_) send_queued();
  const ByteSpan frame = out_.append(kFrameHeader + size);
  put_header(frame.data(), kind, id, size);
  if (!writable_) defer();
  return frame.subspan(kFrameHeader);
}

void FrameStream::attach(std::vector<int> fds) {
  SCALIO_ASSERT(out_.empty() && fds.size() <= kMaxDescriptors);
  attached_ = std::move(fds);
}

Result<std::vector<net::UniqueFd>> FrameStream::take_descriptors() {
  expect_descriptors_ = false;
  std::vector<net::UniqueFd> taken = std::exchange(descriptors_, {});
  if (std::exchange(descriptors_cut_, false)) {
    return Status(Code::unavailable,
                  "cannot take the descriptors that the peer sends: " + error_text(EMFILE));
  }
  return taken;
}

void FrameStream::on_turn() {
  deferred_ = false;
  if (state_ == State::failing) {
    detach();
    handler_->on_lost(why_);
    return;
  }
  if (!open()) return;
  flush();
  if (open() && read_again_ && !held_ && queued() <= limits_.max_queued / 2) read_frames();
}

// Reads and delivers frames until the socket is empty. Its watch tells of changes only, so that
// nothing may be left unread, unless read_again_ remembers it. A receive that fills less than its
// space has emptied the socket: whatever comes later is a change. Only an end of the stream, which
// may have come before, is not seen then: in that case hangup_ is set, and reading goes on until
// the end.
void FrameStream::read_frames() {
  if (!open()) return;
  read_again_ = true;
  if (takes_nothing()) return;
  // A handler up the stack made the loop take completions.
  if (receiving_.in_use) return defer();
  const auto self = shared_from_this();  // a handler may drop the stream
  receiving_.in_use = true;
  read_again_ = false;
  std::byte* space = receiving_.bytes.get();
  std::size_t have = partial_.size();
  copy_bytes(partial_, space);
  partial_ = {};
  std::size_t received = 0;
  for (bool drained = false;;) {
    ByteView rest(space, have);
    deliver(rest);
    if (!open()) break;
    read_again_ = takes_nothing() || received >= kReceiveAtOnce;
    if (read_again_ || (drained && !hangup_)) {
      keep(rest);
      if (read_again_ && !takes_nothing()) defer();
      break;
    }
    std::memmove(space, rest.data(), rest.size());
    have = rest.size();
    const ByteSpan room(space + have, kReceiveSpace - have);
    const auto [n, emptied, taken] = receive(room);
    const int error = errno;
    // A handshake goes on, or is over: what waited for it can be sent.
    if (socket_.tls() && (socket_.unsent() || !out_.empty()) && !writable_) defer();
    if (n < 0 && error == EINTR) continue;
    if (n < 0 && error == EAGAIN) {
      keep({space, have});
      break;
    }
    if (n <= 0) {
      ended_by_peer_ = n == 0;
      lose(n == 0 ? Status(Code::unavailable, "the peer closed the connection") : broken(error));
      break;
    }
    have += static_cast<std::size_t>(n);
    received += taken;
    drained = emptied;
  }
  receiving_.in_use = false;
}

// For the next receive. (g++ 12 has assign() copy bytes one at a time.)
void FrameStream::keep(ByteView received) {
  partial_.resize(received.size());
  copy_bytes(received, partial_.data());
  if (received.empty() || frame_timer_.armed()) return;
  frame_ended_ = false;
  frame_timer_.arm(loop_.now() + limits_.stall_timeout);
}

// Half a frame is memory that its sender could have for ever. Looked at only so often: there is
// half of one after nearly every receive of a busy stream.
void FrameStream::check_frame() {
  if (!open() || partial_.empty()) return;
  if (!frame_ended_ && !takes_nothing() && !read_again_) {
    return fail(
        Status(Code::timed_out, fmt::format("the peer began a frame and did not end it within {} s",
                                            limits_.stall_timeout / kSecond)));
  }
  frame_ended_ = false;
  frame_timer_.arm(loop_.now() + limits_.stall_timeout);
}

// Takes frames off `received` and hands them on, until only a part of one is left, or the peer's
// answers pile up, or the stream is held, or has ended.
void FrameStream::deliver(ByteView& received) {
  bool handed_on = false;
  while (open() && !takes_nothing()) {
    const Result<std::optional<Frame>> frame =
        only_greetings_ ? take_greeting(received) : take_frame(received);
    const bool more = frame.ok() && frame->has_value() && (*frame)->kind != FrameKind::close;
    if (!more) {
      if (handed_on) handler_->on_pause();
      return end_delivery(frame);
    }
    unparsed_ = received.size();
    frame_ended_ = true;
    handler_->on_frame(**frame);
    handed_on = true;
  }
  if (open() && handed_on) handler_->on_pause();
}

// What follows is no frame, or not yet, or the last.
void FrameStream::end_delivery(const Result<std::optional<Frame>>& next) {
  if (!next.ok()) return fail(next.status());
  if (!next->has_value()) return;
  lose(Status(Code::unavailable, "closed by the peer: " + printable((*next)->payload)));
}

// What the peer has done, if it is TLS that says so.
Status FrameStream::broken(int error) const {
  return {error == EPROTO ? Code::invalid : Code::unavailable, socket_.reason(error)};
}

net::StreamSocket::Received FrameStream::receive(ByteSpan into) {
  if (!expect_descriptors_) return socket_.receive(into);
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  iovec iov{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket_.fd(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  // Descriptors end a receive before the socket is empty.
  if (n < 0) return {n, false};
  descriptors_cut_ |= (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      net::UniqueFd owned(fd);
      if (descriptors_.size() < kMaxDescriptors) descriptors_.push_back(std::move(owned));
    }
  }
  return {n, false, static_cast<std::size_t>(n)};
}

ssize_t FrameStream::send_with_descriptors(ByteView bytes) {
  iovec iov{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(attached_.size() * sizeof(int));
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(attached_.size() * sizeof(int));
  std::memcpy(CMSG_DATA(c), attached_.data(), attached_.size() * sizeof(int));
  return sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Sends until nothing is queued, or the socket takes no more, or a handshake waits for the peer.
// Returns 0, or the error: EAGAIN if the socket takes no more.
int FrameStream::send_queued() {
  while (!out_.empty() || socket_.unsent()) {
    const ByteView bytes = out_.bytes();
    const ssize_t n = attached_.empty() ? socket_.send(bytes) : send_with_descriptors(bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0 && !socket_.unsent()) break;
    attached_.clear();
    sent_since_stall_ += static_cast<std::uint64_t>(n);
    out_.consume(static_cast<std::size_t>(n));
  }
  return 0;
}

void FrameStream::flush() {
  const int error = send_queued();
  if (error == EAGAIN) {
    if (writable_) return;
    sent_since_stall_ = 0;
    stall_timer_.arm(loop_.now() + limits_.stall_timeout);
    writable_.emplace(loop_, socket_.fd(), POLLOUT, [this](std::uint32_t) {
      if (open()) defer();
    });
    return;
  }
  if (error == EPIPE || error == ECONNRESET) {
    // What the peer said before it went away, perhaps why, is still there to be read.
    hangup_ = true;
    read_frames();
  }
  if (error != 0) return lose(broken(error));
  writable_.reset();
  if (!out_.empty()) {  // until TLS's handshake is over
    if (!stall_timer_.armed()) {
      sent_since_stall_ = 0;
      stall_timer_.arm(loop_.now() + limits_.stall_timeout);
    }
    return;
  }
  stall_timer_.cancel();
  handler_->on_sent();
}

void FrameStream::go_on() {
  held_ = false;
  if (open() && read_again_) defer();
}

void FrameStream::fail(Status why) {
  if (!open()) return;
  send(FrameKind::close, 0, as_bytes(std::string_view(why.message()).substr(0, kMaxText)));
  lose(std::move(why));
}

void FrameStream::lose(Status why) {
  if (!open()) return;
  state_ = State::failing;
  why_ = std::move(why);
  send_queued();
  defer();
}

void FrameStream::stop() {
  if (open()) send_queued();
  detach();
}

Result<net::StreamSocket> FrameStream::release() {
  const bool clean = open() && unparsed_ == 0 && out_.empty() && !socket_.unsent();
  net::StreamSocket socket = clean ? std::move(socket_) : net::StreamSocket();
  detach();
  if (!clean) return Status(Code::invalid, "bytes beyond the frame that was expected");
  return socket;
}

void FrameStream::detach() {
  state_ = State::stopped;
  readable_.reset();
  writable_.reset();
  stall_timer_.cancel();
  frame_timer_.cancel();
  socket_.close();
  out_.consume(out_.size());
}

}  // namespace scalio::fabric
