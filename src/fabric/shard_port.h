// ShardPort: one shard's end of all of its connections, of both transports, on the shard's thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "fabric/fabric.h"
#include "fabric/handover.h"
#include "fabric/limited_log.h"
#include "fabric/server.h"
#include "fabric/unique_fd.h"

namespace scalio::fabric {

class ServerPeer;

class ShardPort {
 public:
  ShardPort(std::uint32_t shard, ShardEndpoint endpoint, std::uint64_t epoch, int epoch_fd,
            const Limits& limits);
  ~ShardPort();
  ShardPort(const ShardPort&) = delete;
  ShardPort& operator=(const ShardPort&) = delete;

  // For the accepting thread: whether the shard's thread keeps up with connections.
  bool room() const { return waiting_.load(std::memory_order_relaxed) < limits_.max_connections; }
  // For the accepting thread: takes over a Unix socket whose hello was read.
  void hand_over(UniqueFd socket, const std::string& name, ByteView request);

  // The rest on the shard's thread only.

  // How replies to TCP clients reach the NIC. Before its first message.
  void set_nic(std::shared_ptr<MessageChannel> nic) { nic_ = std::move(nic); }
  // From the NIC.
  void on_message(Message& message);
  // Ends all connections; the service has had on_disconnect for each when it returns.
  void stop(const std::string& reason);

 private:
  friend class ServerPeer;
  friend class UnixPeer;
  friend class TcpPeer;
  void admit_unix(UniqueFd socket, std::string name, ByteView request);
  void admit_tcp(const std::shared_ptr<Link>& link, ByteView request);
  Result<Bytes> ask_service(ServerPeer& peer, ByteView request);
  void forget(ServerPeer& peer);
  EventLoop& loop() { return *endpoint_.loop; }

  const std::uint32_t shard_;
  const ShardEndpoint endpoint_;
  const std::uint64_t epoch_;
  const int epoch_fd_;
  const Limits limits_;
  std::shared_ptr<MessageChannel> nic_;
  std::unordered_map<ServerPeer*, std::unique_ptr<ServerPeer>> peers_;  // those the service knows
  std::atomic<std::size_t> waiting_{0};                                 // handed over, not yet taken
  LimitedLog log_;
};

}  // namespace scalio::fabric
