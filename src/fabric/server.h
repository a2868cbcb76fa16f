// Server: the server's end of the shm, tcp and verbs transports for all shards of one store.
//
// Clients over a Unix socket get the region's memfd and use the memory themselves; the socket
// carries messages, and its hangup says that a side has gone. It is served by the shard's own
// thread. Clients over TCP are served by one thread that stands in for the NIC: it executes their
// one-sided operations on the region, checking every address, and hands their requests to the
// shards' threads. Its CPU time is reported apart, because with a real NIC it would not exist.
// Clients over RDMA have the NIC for that; the shard's own thread has their messages.
//
// RDMA excludes the others: a NIC's compare-and-swap is not atomic with a CPU's, nor with another
// NIC's, and two fillers would own one slot (docs/protocol.md, rule 3).
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "fabric/epoch.h"
#include "fabric/fabric.h"
#include "fabric/region.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::fabric {

// One shard. `loop` is run by the caller, on the shard's thread, where all calls of `service` are
// made.
struct ShardEndpoint {
  EventLoop* loop = nullptr;
  Region* region = nullptr;
  Service* service = nullptr;
};

struct Limits {
  // Clients connected to one shard; more are refused (busy).
  std::size_t max_connections = 1024;
  // From accepting a connection to having its whole HELLO.
  Nanos hello_timeout = 5 * kSecond;
  // Bytes waiting to be sent to one client. Beyond, nothing more is read from it until it has taken
  // half.
  std::size_t max_queued = 4 * 1024 * 1024;
  // A client that takes nothing of what waits for it for this long is disconnected.
  Nanos stall_timeout = 30 * kSecond;
};

// Whether a server could listen at these now: it is tried, and given up again before anything is
// accepted. Failures: as Server::start; invalid: an address is given twice, or rdma: beside others.
Status check_listen(const std::vector<net::Uri>& listen);

class Server {
 public:
  // Listens at every URI of `listen`. `epoch` is what epoch_file.advance() returned. The shards'
  // loops must be running, or start to run soon; everything passed by pointer or reference must
  // outlive the server.
  //
  // Who may write to a Unix socket's file (see umask) may use the store. A socket file that nobody
  // listens on any more is replaced. Failures: busy (somebody listens there), invalid (no such
  // host, path too long or not a socket; as check_listen; rdma: of several devices), unavailable
  // (io_uring or threads refused, no RDMA device, or its memory cannot be pinned).
  static Result<std::unique_ptr<Server>> start(std::vector<ShardEndpoint> shards,
                                               std::uint64_t epoch, EpochFile& epoch_file,
                                               std::vector<net::Uri> listen, Limits limits);

  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Closes the listeners and all connections. When it returns, every service has had on_disconnect
  // for every peer and none is called again. The shards' loops must still be running, and this must
  // not be one of their threads: it waits for them. Idempotent.
  void stop();

  // Where it listens, with the ports that the kernel picked.
  std::vector<net::Uri> addresses() const;
  // CPU time used so far by the thread that stands in for the NIC; 0 if there is none.
  Nanos nic_cpu_time() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::fabric
