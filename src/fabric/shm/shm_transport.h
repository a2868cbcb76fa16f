// Shared memory, for clients on the server's machine, beside a Unix socket for messages.
#pragma once

#include "fabric/transport.h"

namespace scalio::fabric {

struct ShmTransport {
  static constexpr net::UriScheme kScheme = {net::kUnix, true};
  static constexpr Atomics kAtomics = Atomics::cpu;
  static constexpr unsigned kDescriptors = 1;
  static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, ConnectRequest request);
  static std::unique_ptr<TransportServer> serve(const Limits& limits);
};

}  // namespace scalio::fabric
