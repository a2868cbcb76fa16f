// PipelinedConnection: requests and replies of a text protocol over a socket, many in flight.
//
// Replies come in the order of the requests. What is asked in one turn of the loop leaves in one
// system call, so that the server reads many requests at once: it is then as fast as its protocol
// lets it be. The libraries of Debian for these protocols block, or send each request by itself.
#pragma once

#include <scalio/status.h>

#include <coroutine>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/send_buffer.h"
#include "net/unique_fd.h"
#include "task/deferred.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::eval {

constexpr std::string_view kLineEnd = "\r\n";
// The value of a reply that has a line before it and an end of line behind it.
std::string value_of(std::string reply);

class PipelinedReply;

class PipelinedConnection {
 public:
  // Of what has come, at least one byte: how many bytes the first reply has, 0 while that cannot be
  // told; perhaps more than have come. Failures: corrupt: it is no reply.
  using Measure = Result<std::size_t> (*)(std::string_view received);

  PipelinedConnection(EventLoop& loop, net::UniqueFd socket, Measure measure);
  // No reply is waited for. The loop must turn once more afterwards.
  ~PipelinedConnection();

  // `co_await ask(...)` sends the parts, each a string, one after the other, and gives the whole
  // reply; they need not outlive the call. Failures: unavailable: nothing was sent, the connection
  // is lost; unknown: it was lost before the reply came.
  template <class... Parts>
  PipelinedReply ask(const Parts&... parts);

  std::uint64_t asked() const { return asked_; }

 private:
  friend class PipelinedReply;
  PipelinedReply send(std::span<const std::string_view> parts);
  void flush();
  void receive();
  void deliver();
  void finish(Result<std::string> result);
  void lose(const std::string& why);
  void set_deadline();
  void on_deadline();

  EventLoop& loop_;
  const net::UniqueFd socket_;
  const Measure measure_;
  net::SendBuffer out_;
  std::string received_;
  std::size_t begin_ = 0;  // of received_, what has not been delivered
  std::deque<PipelinedReply*> waiting_;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t due_ = 0;            // requests to be answered before the deadline
  std::optional<std::string> lost_;  // why
  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // while the socket takes no more
  Timer deadline_;
  Deferred flush_;
};

// What ask() gives, to be awaited at once.
class PipelinedReply {
 public:
  bool await_ready() const noexcept { return result_.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    connection_.waiting_.push_back(this);
  }
  Result<std::string> await_resume() { return *std::move(result_); }

 private:
  friend class PipelinedConnection;
  explicit PipelinedReply(PipelinedConnection& connection) : connection_(connection) {}

  PipelinedConnection& connection_;
  std::coroutine_handle<> waiter_;
  std::optional<Result<std::string>> result_;
};

// Not a list in braces: g++ 12 cannot await one.
template <class... Parts>
PipelinedReply PipelinedConnection::ask(const Parts&... parts) {
  const std::string_view all[] = {parts...};
  return send(all);
}

// The number that a line of a reply has, from `text` on, and nothing else; nothing if it has none.
std::optional<std::int64_t> whole_number(std::string_view text);

}  // namespace scalio::eval
