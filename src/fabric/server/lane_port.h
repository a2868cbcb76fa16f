// LanePort: one lane's end of all of its connections, of all transports, on the lane's thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fabric/server/endpoint.h"
#include "fabric/server/server_peer.h"
#include "net/limited_log.h"

namespace scalio::fabric {

class LanePort {
 public:
  LanePort(std::uint32_t lane, LaneEndpoint endpoint, std::uint64_t epoch, int epoch_fd,
           const Limits& limits);
  ~LanePort();
  LanePort(const LanePort&) = delete;
  LanePort& operator=(const LanePort&) = delete;

  // What is served, for any thread.
  std::uint32_t lane() const { return lane_; }
  EventLoop& loop() const { return *endpoint_.loop; }
  Region& region() const { return *endpoint_.region; }
  std::uint64_t epoch() const { return epoch_; }
  int epoch_fd() const { return epoch_fd_; }  // of the epoch file, read-only
  const Limits& limits() const { return limits_; }

  // For an accepting thread: whether the lane's thread keeps up with connections.
  bool room() const { return waiting_.load(std::memory_order_relaxed) < limits_.max_connections; }
  // For an accepting thread: runs this on the lane's thread, to take over one client.
  void hand_over(std::function<void()> admit);

  // Any thread: FabricServer's.
  std::size_t set_max_connections(std::size_t most);

  // The rest is for transports on the lane's thread.

  Service& service() const { return *endpoint_.service; }
  // The service's answer to a peer's hello, or why it is refused, which is logged.
  Result<Bytes> ask_service(ServerPeer& peer, ByteView request);
  // Keeps a peer that the service has taken, until forget(), which destroys it.
  void keep(std::unique_ptr<ServerPeer> peer);
  void forget(ServerPeer& peer);

  bool room_for_newcomer() const { return newcomers_.size() < limits_.max_connections; }
  void keep_newcomer(std::unique_ptr<NewcomerPeer> peer);
  void forget_newcomer(NewcomerPeer& peer);
  // Welcomes a newcomer that the service has taken: it is kept as keep() does.
  void welcome(NewcomerPeer& peer, ByteView answer);

  // Logs what happened to a peer, unless that happens too often.
  void warn(std::string_view peer, std::string_view what);

  // Ends all connections; the service has had on_disconnect for each when it returns.
  void stop(const std::string& reason);

 private:
  Status check_room(const ServerPeer& peer) const;

  const std::uint32_t lane_;
  const LaneEndpoint endpoint_;
  const std::uint64_t epoch_;
  const int epoch_fd_;
  const Limits limits_;
  // Of peers; what is for those that have not said hello stays as it was.
  std::atomic<std::size_t> max_connections_;
  std::unordered_map<ServerPeer*, std::unique_ptr<ServerPeer>> peers_;  // those the service knows
  std::map<std::string, std::size_t> of_users_;  // how many of these are whose
  // They have not said hello.
  std::unordered_map<NewcomerPeer*, std::unique_ptr<NewcomerPeer>> newcomers_;
  std::atomic<std::size_t> waiting_{0};  // handed over, not yet taken
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
