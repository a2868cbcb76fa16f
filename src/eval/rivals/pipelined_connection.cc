#include "eval/rivals/pipelined_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/error_text.h"

namespace scalio::eval {
namespace {

constexpr std::size_t kReceiveAtOnce = 64 * 1024;
// The runner has fewer in flight; a reply is a value and a line.
constexpr std::size_t kMostWaiting = 65'536;
constexpr std::size_t kMostReply = std::size_t{64} << 20;
constexpr Nanos kReplyBound = 60 * kSecond;

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string value_of(std::string reply) {
  reply.resize(reply.size() - kLineEnd.size());
  reply.erase(0, reply.find(kLineEnd) + kLineEnd.size());
  return reply;
}

PipelinedConnection::PipelinedConnection(EventLoop& loop, net::UniqueFd socket, Measure measure)
    : loop_(loop),
      socket_(std::move(socket)),
      measure_(measure),
      out_(loop.local<net::SendBuffer::Pool>()),
      deadline_(loop, [this] { on_deadline(); }),
      flush_(loop, [this] { flush(); }) {
  readable_.emplace(loop, socket_.get(), POLLIN, [this](std::uint32_t) { receive(); });
}

PipelinedConnection::~PipelinedConnection() { SCALIO_ASSERT(waiting_.empty()); }

PipelinedReply PipelinedConnection::send(std::span<const std::string_view> parts) {
  PipelinedReply reply(*this);
  if (lost_) {
    reply.result_.emplace(Status(Code::unavailable, *lost_));
    return reply;
  }
  SCALIO_ASSERT(waiting_.size() < kMostWaiting);
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  std::byte* to = out_.append(size).data();
  for (const std::string_view part : parts) to = copy_bytes(as_bytes(part), to);
  ++asked_;
  if (!writable_) flush_.schedule();
  if (!deadline_.armed()) set_deadline();
  return reply;
}

void PipelinedConnection::flush() {
  while (!lost_ && !out_.empty()) {
    const ssize_t sent = ::send(socket_.get(), out_.bytes().data(), out_.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      out_.consume(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (writable_) return;
      writable_.emplace(loop_, socket_.get(), POLLOUT, [this](std::uint32_t) { flush(); });
      return;
    } else if (errno != EINTR) {
      return lose(error_text(errno));
    }
  }
  writable_.reset();
}

// Until there is no more: the watch tells of changes only.
void PipelinedConnection::receive() {
  while (!lost_) {
    if (begin_ > 0) {
      received_.erase(0, begin_);
      begin_ = 0;
    }
    const std::size_t had = received_.size();
    received_.resize(had + kReceiveAtOnce);
    const ssize_t got = ::recv(socket_.get(), received_.data() + had, kReceiveAtOnce, 0);
    const int error = errno;
    received_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return lose("it has closed the connection");
    if (got < 0 && error == EAGAIN) return;
    if (got < 0 && error != EINTR) return lose(error_text(error));
    deliver();
  }
}

void PipelinedConnection::deliver() {
  while (begin_ < received_.size()) {
    const std::string_view rest = std::string_view(received_).substr(begin_);
    const Result<std::size_t> size = measure_(rest);
    if (!size.ok()) return lose(size.status().message());
    if (*size > kMostReply || (*size == 0 && rest.size() > kMostReply)) {
      return lose("its reply is too long");
    }
    if (*size == 0 || *size > rest.size()) return;
    if (waiting_.empty()) return lose("it replies to what nobody has asked");
    begin_ += *size;
    finish(std::string(rest.substr(0, *size)));
  }
}

void PipelinedConnection::finish(Result<std::string> result) {
  PipelinedReply* const reply = waiting_.front();
  waiting_.pop_front();
  ++answered_;
  reply->result_.emplace(std::move(result));
  loop_.post(reply->waiter_);
}

void PipelinedConnection::lose(const std::string& why) {
  if (lost_) return;
  lost_ = fmt::format("the server is gone: {}", why);
  readable_.reset();
  writable_.reset();
  deadline_.cancel();
  while (!waiting_.empty()) finish(Status(Code::unknown, *lost_));
}

// What has been asked by now must have been answered when the timer ends.
void PipelinedConnection::set_deadline() {
  due_ = asked_;
  deadline_.arm(loop_.now() + kReplyBound);
}

void PipelinedConnection::on_deadline() {
  if (answered_ < due_) {
    lose(fmt::format("it has not answered for {} s", kReplyBound / kSecond));
  } else if (!waiting_.empty()) {
    set_deadline();
  }
}

}  // namespace scalio::eval
