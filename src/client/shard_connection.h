// ShardConnection: a connection as one shard has it, and what the shard said of itself on it.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>

#include "client/store_estimate.h"
#include "fabric/fabric.h"
#include "layout/message.h"

namespace scalio::client {

// Operations hold it while they use it.
struct ShardConnection {
  std::shared_ptr<fabric::Connection> connection;  // to its lane: other shards have it too
  layout::HelloReply hello;
  std::uint64_t features = 0;  // of the messages, that both sides know
  std::size_t calls = 0;       // that may be in flight to the shard
  Nanos connected_at = 0;      // by this client's clock, when the server's was hello.server_now
  StoreEstimate store_time;
  // Questions for it (ShardLink::ask_time), and how the last one that has ended did.
  std::uint64_t questions_begun = 0, questions_ended = 0;
  Status last_answer;
};

}  // namespace scalio::client
