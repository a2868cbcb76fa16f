// Lane: the shards of one thread, as clients reach them: all over one connection of each client.
//
// To each of its shards a connection is a peer of its own, so that shards know nothing of lanes:
// they have sessions, and windows of writes, whichever others share the connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "fabric/fabric.h"
#include "layout/message.h"
#include "server/shard.h"

namespace scalio::server {

// Which lane serves each shard: dealt out in turn, so that none has more than one shard more than
// another, and slices of one SSD are in as many lanes as can be. `lanes` is from 1 to `shards`.
std::vector<std::uint16_t> deal_shards(std::uint32_t shards, std::uint32_t lanes);

class Lane final : public fabric::Service {
 public:
  // The lane `number` of those that `deal` has the shards in. `shards`: its own, in their order;
  // they outlive it.
  Lane(std::uint16_t number, std::vector<std::uint16_t> deal, std::vector<Shard*> shards);

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  // Those connected now; for any thread.
  std::size_t clients() const { return clients_.load(std::memory_order_relaxed); }

 private:
  class ShardPeer;
  class LaneClient;
  // Where in shards_ this one is, if it is here.
  std::optional<std::size_t> find(std::uint32_t shard) const;
  void greet(LaneClient& client, std::size_t index, std::uint64_t call, ByteView message);

  const std::uint16_t number_;
  const std::vector<std::uint16_t> deal_;
  const std::vector<Shard*> shards_;
  std::vector<std::uint32_t> places_;  // of each shard of the store, in shards_; of others, any
  std::atomic<std::size_t> clients_{0};
};

}  // namespace scalio::server
