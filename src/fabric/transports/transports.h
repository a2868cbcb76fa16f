// The table of transports. One more is one more row, and the lines of its folder in CMakeLists.txt.
#pragma once

#include "fabric/rdma/rdma_transport.h"
#include "fabric/shm/shm_transport.h"
#include "fabric/tcp/tcp_transport.h"
#include "fabric/transport.h"

namespace scalio::fabric {

// In the order in which errors list them.
using Transports = TransportTable<ShmTransport,  //
                                  TcpTransport,  //
                                  TlsTransport,  //
                                  RdmaTransport>;

}  // namespace scalio::fabric
