// Nic: stands in, on its own thread, for the NIC of a server reached over TCP. It executes
// one-sided operations on the shards' regions and hands requests to the shards' threads and replies
// back.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fabric/frame_stream.h"
#include "fabric/server.h"
#include "fabric/tcp/handover.h"
#include "net/limited_log.h"

namespace scalio::fabric {

class Nic {
 public:
  struct Shard {
    ByteSpan region;
    std::shared_ptr<MessageChannel> channel;  // to the shard's thread
    std::size_t links = 0;                    // connections, up to the shard's having released them
  };

  // Created, used and destroyed on the thread of `loop`. Destroying it drops all connections and
  // tells the shards.
  Nic(EventLoop& loop, std::vector<Shard> shards, std::uint64_t epoch, const Limits& limits);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  // A new connection (see Acceptor::OnHello).
  void adopt(std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello);
  // From a shard.
  void on_message(Message& message);

 private:
  friend class NicConnection;
  void forget(NicConnection& connection);

  EventLoop& loop_;
  std::vector<Shard> shards_;
  const std::uint64_t epoch_;
  const Limits limits_;
  std::unordered_map<NicConnection*, std::unique_ptr<NicConnection>> connections_;
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
