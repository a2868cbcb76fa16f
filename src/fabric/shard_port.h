// ShardPort: one shard's end of all of its connections, of all transports, on the shard's thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "fabric/fabric.h"
#include "fabric/server.h"
#include "fabric/tcp/handover.h"
#include "net/limited_log.h"
#include "net/unique_fd.h"
#include "net/verbs_queue.h"

namespace scalio::fabric {

class ServerPeer;
class VerbsPeer;

// A shard's region as an RDMA device has it: registered once, in a protection domain of its own, so
// that the shard's clients reach nothing else.
struct VerbsRegion {
  net::ProtectionDomain domain;
  net::Registration registration;
};

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
  void hand_over(net::UniqueFd socket, const std::string& name, ByteView request);

  // For the accepting thread: takes over a client that asks to connect by RDMA, after offer_rdma().
  void hand_over(net::VerbsRequest request);

  // The rest on the shard's thread only, once connections are accepted.

  // What RDMA clients get.
  void offer_rdma(VerbsRegion region) { verbs_region_ = std::move(region); }
  // How replies to TCP clients reach the NIC. Before its first message.
  void set_nic(std::shared_ptr<MessageChannel> nic) { nic_ = std::move(nic); }
  // From the NIC.
  void on_message(Message& message);
  // Ends all connections; the service has had on_disconnect for each when it returns.
  void stop(const std::string& reason);

 private:
  friend class ServerPeer;
  friend class StreamPeer;
  friend class UnixPeer;
  friend class TcpPeer;
  friend class VerbsPeer;
  void admit_unix(net::UniqueFd socket, std::string name, ByteView request);
  void admit_tcp(const std::shared_ptr<Link>& link, ByteView request);
  void admit_verbs(net::VerbsRequest request);
  void greet(VerbsPeer& newcomer, ByteView request);
  Result<Bytes> ask_service(ServerPeer& peer, ByteView request);
  void forget(ServerPeer& peer);
  EventLoop& loop() { return *endpoint_.loop; }

  const std::uint32_t shard_;
  const ShardEndpoint endpoint_;
  const std::uint64_t epoch_;
  const int epoch_fd_;
  const Limits limits_;
  std::shared_ptr<MessageChannel> nic_;
  VerbsRegion verbs_region_;
  std::unordered_map<ServerPeer*, std::unique_ptr<ServerPeer>> peers_;  // those the service knows
  std::unordered_map<VerbsPeer*, std::unique_ptr<VerbsPeer>>
      newcomers_;                        // they have not said hello
  std::atomic<std::size_t> waiting_{0};  // handed over, not yet taken
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
