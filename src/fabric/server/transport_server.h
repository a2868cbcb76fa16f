// TransportServer: the server's end of one transport, for all lanes. FabricServer calls what is
// here in this order, on one thread that is none of the lanes'.
#pragma once

#include <scalio/status.h>

#include <vector>

#include "fabric/server/lane_port.h"
#include "net/uri.h"

namespace scalio::fabric {

class TransportServer {
 public:
  virtual ~TransportServer() = default;

  // Opens a listener at an address of the transport's scheme. Until start() it accepts nothing.
  // Returns where it listens, with the port that the kernel picked. Failures: as
  // FabricServer::start.
  virtual Result<net::Uri> listen(const net::Uri& uri) = 0;
  // Takes what it needs to serve these, in the order of the lanes; they outlive its last client.
  // Fails with unavailable. After it nothing can fail.
  virtual Status prepare(std::vector<LanePort*> ports) = 0;
  // Accepts from now on: each client is handed over to its lane's port.
  virtual void start() = 0;
  // Closes the listeners. When it returns, no port is given another client.
  virtual void stop() = 0;
  // Then, on each lane's thread, once the port has ended the last of its clients.
  virtual void leave(std::size_t /*lane*/) {}

  // CPU time used so far by what stands in for a NIC; 0 if nothing does.
  virtual Nanos nic_cpu_time() const { return 0; }
  // What of it went into looking for work (Limits::spin).
  virtual Nanos nic_spun() const { return 0; }
};

}  // namespace scalio::fabric
