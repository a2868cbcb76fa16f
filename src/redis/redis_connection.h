// RedisConnection: one client of the gateway: its socket, its commands in flight, its replies in
// order.
//
// A command that ends at once, as a GET from shared memory does, costs its own work only: it is
// called where its bytes were parsed, and its reply is behind those before it. One that waits keeps
// its place, and those that may go beside it begin meanwhile. What has been replied in one turn of
// the loop leaves in one system call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/ring.h"
#include "net/stream_socket.h"
#include "redis/command_call.h"
#include "redis/gateway_state.h"
#include "redis/key_order.h"
#include "redis/reply_queue.h"
#include "resp/request_parser.h"
#include "task/deferred.h"
#include "task/detached.h"
#include "task/timer.h"

namespace scalio::redis {

class RedisConnection {
 public:
  // `on_ended` is called, once, when nothing is left of it: on a later turn it may be destroyed.
  RedisConnection(GatewayState& state, net::StreamSocket socket, RedisSession session,
                  std::function<void()> on_ended);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  const RedisSession& session() const { return session_; }
  // Takes nothing more from the client; what it has begun is answered, then it ends.
  void finish();
  // Closes the socket; it ends when what it has begun has ended.
  void close();
  bool ended() const { return !socket_ && calls_.empty(); }

 private:
  bool open() const { return static_cast<bool>(socket_); }
  void work();
  std::string_view receive();
  void execute(std::string_view fresh);
  bool may_begin() const;
  bool is_stranger() const { return state_.users != nullptr && session_.user == nullptr; }
  bool take_call(std::string_view received, std::size_t* taken);
  std::unique_ptr<CommandCall> new_call();
  void start(std::unique_ptr<CommandCall> call);
  static Detached carry(RedisConnection& connection, CommandCall& call);
  void on_done(CommandCall& call);
  void settle(CommandCall& call);
  void answer(std::unique_ptr<CommandCall> call);
  void refuse(std::string_view error);
  void keep(std::string_view rest);
  void flush();
  void give_up(std::string_view why);
  void leave();
  void end_if_done();

  GatewayState& state_;
  net::StreamSocket socket_;
  RedisSession session_;
  ReplyRoom room_;
  const std::function<void()> on_ended_;
  bool said_ended_ = false;
  Deferred work_;

  resp::RequestParser parser_;
  std::string input_;     // received and not a whole request yet, or not begun
  bool blocked_ = false;  // by its limits it left off in the middle of that
  bool readable_ = false;
  bool hangup_ = false;

  Ring<std::unique_ptr<CommandCall>> calls_;  // begun, and not answered in their order
  std::unique_ptr<CommandCall> held_;         // the next one, which must not begin yet
  CommandCall* starting_ = nullptr;
  std::size_t waiting_ = 0;  // bytes of replies behind one that is not there yet
  KeyOrder order_;

  ReplyQueue out_;
  std::optional<Watch> readiness_;
  std::optional<Watch> writable_;  // only while the socket takes no more
  Timer stall_;                    // likewise
  Timer entry_;                    // until it has come in: by TLS, and as a user
};

}  // namespace scalio::redis
