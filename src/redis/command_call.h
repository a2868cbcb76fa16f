// CommandCall: one command of one client, from its request to its reply.
#pragma once

#include <scalio/task.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "redis/gateway_state.h"
#include "resp/reply_writer.h"
#include "resp/request_parser.h"
#include "task/sync.h"

namespace scalio::redis {

// What COMMAND says of a command, and what the gateway itself goes by.
enum CommandFlag : unsigned {
  kWrite = 1,
  kReadonly = 2,
  kFast = 4,
  kAdmin = 8,
  // Neither begins before all earlier ones of its connection have ended, nor lets later ones begin
  // before it has: it concerns all keys, or its reply may be large.
  kAlone = 16,
  // May be called by who has not said yet which user it is.
  kLogin = 32,
};

struct CommandRow {
  std::string_view name;  // lower case
  int arity;              // the name counted; negative: so many or more
  unsigned flags;
  int first_key;  // which arguments are keys; 0: none
  int last_key;   // negative: from the end
  int key_step;
  std::string_view group;
  std::string_view summary;
  Task<void> (*handler)(CommandCall& call);
};

class CommandCall {
 public:
  explicit CommandCall(GatewayState& state) : turn(state.loop), state_(state) {}
  CommandCall(const CommandCall&) = delete;
  CommandCall& operator=(const CommandCall&) = delete;

  // Takes the parser's request. `row`: what it calls; null: no such command.
  void begin(RedisSession& session, const resp::RequestParser& request);
  void set_row(const CommandRow* row) { row_ = row; }
  const CommandRow* row() const { return row_; }

  // The command's name is the first.
  std::size_t count() const { return arguments_.size(); }
  std::string_view operator[](std::size_t i) const { return arguments_[i]; }
  std::span<const std::string_view> arguments() const { return arguments_; }

  GatewayState& state() { return state_; }
  const GatewayState& state() const { return state_; }
  Client& client() { return state_.client; }
  RedisSession& session() { return *session_; }
  const RedisSession& session() const { return *session_; }
  // RESP's version is that of the moment when it is asked.
  resp::ReplyWriter reply() { return {reply_, session_protocol_}; }
  void use_protocol(resp::Protocol protocol) { session_protocol_ = protocol; }
  // An error in place of whatever the reply has so far: a text of Redis's kind, "ERR ...", or what
  // the store says.
  void fail(std::string_view error);
  void fail(const Status& status);

  const std::string& replied() const { return reply_; }
  // Not inline: knowing how long it is, g++ 12 would warn of a copy beyond a short string's end.
  std::string take_reply();
  bool done = false;
  Nanos waits_since = 0;   // if it did not end at once
  bool first = false;      // all before it, of its connection, have been answered
  WaitList turn;           // until it is that, or its connection is gone
  std::uint64_t room = 0;  // that it has of its connection's ReplyRoom
  // Room for so much more, if there is some without a wait.
  bool take_room(std::uint64_t bytes);
  // What it fails with if there is none.
  Status no_room() const;
  // What it keeps of its memory is worth keeping.
  bool reusable() const;

 private:
  GatewayState& state_;
  RedisSession* session_ = nullptr;
  resp::Protocol session_protocol_ = resp::Protocol::resp2;
  const CommandRow* row_ = nullptr;
  std::string bytes_;
  std::vector<std::string_view> arguments_;  // of these
  std::string reply_;
};

// Calls `each` with every key that it names.
template <class F>
void for_each_key(const CommandCall& call, F each) {
  const CommandRow* row = call.row();
  if (row == nullptr || row->first_key == 0) return;
  const auto count = static_cast<int>(call.count());
  const int last = row->last_key < 0 ? count + row->last_key : row->last_key;
  for (int i = row->first_key; i <= last && i < count; i += row->key_step) {
    each(call[static_cast<std::size_t>(i)]);
  }
}

}  // namespace scalio::redis
