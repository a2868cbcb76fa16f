// Nic: stands in, on its own thread, for the NIC of a server reached over TCP. It executes
// one-sided operations on the lanes' regions and hands requests to the lanes' threads and replies
// back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fabric/frame_stream.h"
#include "fabric/server/endpoint.h"
#include "fabric/tcp/server/tcp_link.h"
#include "net/limited_log.h"

namespace scalio::fabric {

// A lane as the NIC knows it.
struct NicLane {
  ByteSpan region;
  std::shared_ptr<NicChannel> channel;  // to the lane's thread
  std::size_t links = 0;                // connections, up to the lane's having released them
};

class Nic {
 public:
  // Created, used and destroyed on the thread of `loop`. Destroying it drops all connections and
  // tells the lanes.
  Nic(EventLoop& loop, std::vector<NicLane> lanes, std::uint64_t epoch, const Limits& limits);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  // A new connection (see SocketAcceptor::OnHello).
  void adopt(std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello);
  // From a lane.
  void on_message(NicMessage& message);

  // For its connections.
  NicLane& lane(std::uint32_t i) { return lanes_[i]; }
  std::uint64_t epoch() const { return epoch_; }
  std::byte* block() { return block_.data(); }  // room for one, of whoever is handling a frame
  void warn(std::string_view connection, std::string_view what);
  void forget(NicConnection& connection);

 private:
  EventLoop& loop_;
  std::vector<NicLane> lanes_;
  const std::uint64_t epoch_;
  const Limits limits_;
  Bytes block_ = Bytes(kMaxRead);
  std::unordered_map<NicConnection*, std::unique_ptr<NicConnection>> connections_;
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
