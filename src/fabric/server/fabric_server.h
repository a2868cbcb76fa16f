// FabricServer: the server's end of all transports of a table, for all lanes of one store.
//
// One store is served by transports that execute compare-and-swaps in the same place only (see
// Atomics).
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fabric/epoch.h"
#include "fabric/server/endpoint.h"
#include "fabric/transport.h"
#include "net/uri.h"

namespace scalio::fabric {

// Whether a server could listen at these now: it is tried, and given up again before anything is
// accepted. Failures: as FabricServer::start; invalid: an address is given twice, or transports
// that cannot be served together, or to users.
Status check_listen(std::span<const ServerTransport> table, const std::vector<net::Uri>& listen,
                    const Limits& limits = {});

// The descriptors of one client's connection to one lane: the most of any address.
unsigned descriptors_per_client(std::span<const ServerTransport> table,
                                const std::vector<net::Uri>& listen);

class FabricServer {
 public:
  // Listens at every URI of `listen`, each by the transport that has its scheme. `epoch` is what
  // epoch_file.advance() returned. The lanes' loops must be running, or start to run soon;
  // everything passed by pointer or reference must outlive the server.
  //
  // Who may write to a Unix socket's file (see umask) may use the store. A socket file that nobody
  // listens on any more is replaced. Failures: busy (somebody listens there), invalid (no such
  // host, path too long or not a socket; as check_listen; rdma: of several devices), unavailable
  // (io_uring or threads refused, no RDMA device, or its memory cannot be pinned).
  static Result<std::unique_ptr<FabricServer>> start(std::span<const ServerTransport> table,
                                                     std::vector<LaneEndpoint> lanes,
                                                     std::uint64_t epoch, EpochFile& epoch_file,
                                                     const std::vector<net::Uri>& listen,
                                                     Limits limits);

  ~FabricServer();  // stop()
  FabricServer(const FabricServer&) = delete;
  FabricServer& operator=(const FabricServer&) = delete;

  // Closes the listeners and all connections. When it returns, every service has had on_disconnect
  // for every peer and none is called again. The lanes' loops must still be running, and this must
  // not be one of their threads: it waits for them. Idempotent.
  void stop();

  // So many each lane may have from now on, but no more than Limits::max_connections; how many that
  // is. Who is connected stays. Any thread.
  std::size_t set_max_connections(std::size_t most);

  // Where it listens, with the ports that the kernel picked.
  std::vector<net::Uri> addresses() const;
  // CPU time used so far by what stands in for the NIC; 0 if nothing does.
  Nanos nic_cpu_time() const;
  // What of it went into looking for work (Limits::spin).
  Nanos nic_spun() const;

 private:
  struct Impl;
  explicit FabricServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::fabric
