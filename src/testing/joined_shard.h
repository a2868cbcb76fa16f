// A connection to a server of one shard that knows nothing of lanes: the connection's hello is the
// shard's. For tests of a shard's clients.
#pragma once

#include <memory>
#include <utility>

#include "client/lanes.h"

namespace scalio::client {

inline JoinedShard joined(std::unique_ptr<fabric::Connection> connection,
                          std::size_t calls = fabric::kMaxCalls,
                          std::uint64_t features = layout::kMessageFeatures) {
  JoinedShard shard;
  shard.hello = connection->hello();
  shard.connection = std::move(connection);
  shard.calls = calls;
  shard.features = features;
  return shard;
}

}  // namespace scalio::client
