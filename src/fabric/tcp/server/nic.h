// Nic: stands in, on its own thread, for the NIC of a server reached over TCP, or for a part of it:
// there may be several, each with connections of its own. It executes one-sided operations on the
// lanes' regions and hands requests to the lanes' threads and replies back.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fabric/frame_stream.h"
#include "fabric/server/endpoint.h"
#include "fabric/tcp/server/tcp_link.h"
#include "net/limited_log.h"

namespace scalio::fabric {

// A lane as all the threads of the NIC know it.
struct NicLane {
  ByteSpan region;
  std::shared_ptr<NicChannel> channel;  // to the lane's thread
  // Connections, from being given to one of the threads to the lane's having released them.
  std::atomic<std::size_t> links{0};
  std::atomic<std::size_t> unseen{0};  // the sum of what its links have
};

class Nic {
 public:
  // Created, used and destroyed on the thread of `loop`. Destroying it drops all connections and
  // tells the lanes, which outlive it and send to it by `channel`.
  Nic(EventLoop& loop, std::span<NicLane> lanes, std::shared_ptr<NicChannel> channel,
      std::uint64_t epoch, const Limits& limits);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  // A new connection, which is counted as the lane's (see SocketAcceptor::OnHello).
  void adopt(std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello);
  // The same, of one whose hello another thread has read.
  void adopt(net::StreamSocket socket, const std::string& name, const Hello& hello);
  // From a lane.
  void on_message(NicMessage& message);

  // For its connections.
  NicLane& lane(std::uint32_t i) { return lanes_[i]; }
  EventLoop& loop() const { return loop_; }
  const Limits& limits() const { return limits_; }
  std::uint64_t epoch() const { return epoch_; }
  std::byte* block() { return block_.data(); }  // room for one, of whoever is handling a frame
  void warn(std::string_view connection, std::string_view what);
  void forget(NicConnection& connection);

 private:
  std::shared_ptr<TcpLink> link_to(const std::string& name, const Hello& hello);
  void keep(std::unique_ptr<NicConnection> connection);

  EventLoop& loop_;
  const std::span<NicLane> lanes_;
  const std::shared_ptr<NicChannel> channel_;
  const std::uint64_t epoch_;
  const Limits limits_;
  Bytes block_ = Bytes(kMaxRead);
  std::unordered_map<NicConnection*, std::unique_ptr<NicConnection>> connections_;
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
