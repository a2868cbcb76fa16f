// What the connections of a gateway share, and what its commands see of them.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/limited_log.h"
#include "redis/key_turns.h"
#include "redis/reply_memory.h"
#include "redis/slow_commands.h"
#include "resp/reply_writer.h"
#include "task/event_loop.h"

namespace scalio::redis {

class CommandCall;
class GatewayUsers;
struct GatewayUser;

struct GatewayLimits {
  std::size_t connections = 1024;
  // Of one connection, begun and not answered: then nothing more is taken from it.
  std::size_t in_flight = 256;
  // Bytes of replies that a client has not taken: then nothing more is taken from it.
  std::size_t queued = 1 << 20;
  // Bytes of requests that are not whole, of all connections together.
  std::size_t unfinished = 256 << 20;
  // How long a client may take nothing of what it has asked for.
  Nanos stall = 60 * kSecond;
  // While others wait for room for their replies, who has much of it takes some in each of these.
  Nanos fair = 5 * kSecond;
  // A command that takes so long is kept for SLOWLOG. 0: all that wait for something.
  Nanos slow = 10 * kMillisecond;
  // How long clients have to take what is left when the gateway stops.
  Nanos grace = 5 * kSecond;
  // From accepting a connection to the end of its TLS handshake, and to its first AUTH that is
  // right, where these are asked for.
  Nanos entry = 5 * kSecond;
};

// A connection, as commands see it.
struct RedisSession {
  std::uint64_t id = 0;
  std::string peer;   // "unix pid 123", "tcp 10.0.0.7:5000"
  std::string place;  // whence it comes: "unix uid 1000", "tcp 10.0.0.7"
  std::string local;  // the address that it came by
  Nanos since = 0;
  Nanos heard = 0;             // when something of it came last
  std::size_t unfinished = 0;  // bytes of requests that are not whole
  std::string name;
  std::string lib_name;
  std::string lib_version;
  resp::Protocol protocol = resp::Protocol::resp2;
  std::shared_ptr<const GatewayUser> user = nullptr;  // that it has turned out to be
  std::string_view command;                           // the last one
  bool quits = false;                                 // nothing more is taken from it
  bool sends_no_more = false;                         // the client has said so
  bool gone = false;                                  // no reply reaches it any more
  ReplyRoom* room = nullptr;                          // of its replies; never null in a command
};

struct GatewayState {
  GatewayState(Client& store, EventLoop& its_loop, GatewayLimits its_limits);
  ~GatewayState();

  Client& client;
  EventLoop& loop;
  GatewayLimits limits;           // `connections` and `slow` may become others
  GatewayUsers* users = nullptr;  // null: everybody may do everything
  const Nanos started;
  KeyTurns turns;
  SlowCommands slow;
  ReplyMemory replies{loop, limits.fair};
  net::LimitedLog log;  // of what connections do
  std::map<std::uint64_t, const RedisSession*> sessions;
  std::uint64_t last_session = 0;
  std::uint64_t commands = 0;
  std::uint64_t refused = 0;   // connections over the limit
  std::size_t unfinished = 0;  // bytes of requests that are not whole
  std::vector<std::string> listening;
  // Where connections receive; between calls they keep only what is not a whole request yet.
  std::vector<char> receive_space = std::vector<char>(64 << 10);
  std::vector<std::unique_ptr<CommandCall>> idle_calls;
};

}  // namespace scalio::redis
