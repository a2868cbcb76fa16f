// RDMA: one-sided operations are the NIC's. A connection has two channels, each a descriptor.
#pragma once

#include "fabric/transport.h"

namespace scalio::fabric {

struct RdmaTransport {
  static constexpr net::UriScheme kScheme = {net::kRdma};
  static constexpr Atomics kAtomics = Atomics::nic;
  static constexpr unsigned kDescriptors = 2;
  static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, ConnectRequest request);
  static std::unique_ptr<TransportServer> serve(const Limits& limits);
};

}  // namespace scalio::fabric
