// TCP, bare or under TLS. A thread of the server stands in for the NIC: it executes one-sided
// operations.
#pragma once

#include "fabric/transport.h"

namespace scalio::fabric {

struct TcpTransport {
  static constexpr net::UriScheme kScheme = {net::kTcp};
  static constexpr Atomics kAtomics = Atomics::cpu;
  static constexpr unsigned kDescriptors = 1;
  static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, ConnectRequest request);
  static std::unique_ptr<TransportServer> serve(const Limits& limits);
};

struct TlsTransport {
  static constexpr net::UriScheme kScheme = {net::kTls};
  static constexpr Atomics kAtomics = Atomics::cpu;
  static constexpr unsigned kDescriptors = 1;
  static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, ConnectRequest request);
  static std::unique_ptr<TransportServer> serve(const Limits& limits);
};

}  // namespace scalio::fabric
