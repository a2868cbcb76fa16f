// ClientLoop: what programs of this house use of a Client beyond its public interface: its event
// loop, to serve others on it, with sockets of their own, and what tells people what happens.
#pragma once

#include <scalio/client.h>

#include <string>
#include <string_view>

#include "client/get_trace.h"
#include "task/event_loop.h"

namespace scalio::client {

class ClientLoop {
 public:
  // Whatever is on it must be gone before the client.
  // It turns while Client::run() or wait_all() runs.
  static EventLoop& of(Client& client);

  // Client::get(), and what it did. No other GET of the client may be under way.
  static Task<Result<Record>> traced_get(Client& client, std::string_view key, GetTrace& trace);
  // The slow logs of all shards (server/slow_log.h), as a JSON array. Failures: those of stat();
  // unavailable, if the server is of a release that has none.
  static Task<Result<std::string>> slow_log(Client& client);
};

}  // namespace scalio::client
