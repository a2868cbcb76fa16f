// ClientLoop: the event loop of a Client, for programs of this house that serve others on it, with
// sockets of their own. It turns while Client::run() or wait_all() runs.
#pragma once

#include <scalio/client.h>

#include "task/event_loop.h"

namespace scalio::client {

class ClientLoop {
 public:
  // Whatever is on it must be gone before the client.
  static EventLoop& of(Client& client);
};

}  // namespace scalio::client
