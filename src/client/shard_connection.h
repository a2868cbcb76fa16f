// ShardConnection: one connection to a shard, and what the shard said of itself on it.
#pragma once

#include <memory>

#include "fabric/fabric.h"
#include "layout/message.h"

namespace scalio::client {

// Operations hold it while they use it.
struct ShardConnection {
  std::unique_ptr<fabric::Connection> connection;
  layout::HelloReply hello;
  Nanos connected_at = 0;  // by this client's clock, when the server's was hello.server_now
};

}  // namespace scalio::client
