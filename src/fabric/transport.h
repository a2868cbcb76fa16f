// What the fabric knows of a transport: a row of a table. fabric/transports/transports.h has the
// table of those that Scalio comes with; the fabric's core, its clients and its servers name none.
//
// A transport is a struct like this, in a folder of its own:
//
//   struct TcpTransport {
//     static constexpr net::UriScheme kScheme = {net::kTcp};
//     static constexpr Atomics kAtomics = Atomics::cpu;
//     static constexpr unsigned kDescriptors = 1;
//     static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop&, ConnectRequest);
//     static std::unique_ptr<TransportServer> serve(const Limits&);
//   };
//
// connect() is in the client's library, serve() in the server's: who uses one end of the table
// needs to link that end only.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "fabric/fabric.h"
#include "net/tls_context.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::fabric {

struct Limits;
class TransportServer;

// Who executes compare-and-swaps on the region. A NIC's is not atomic with a CPU's, and two fillers
// would own one slot (docs/protocol.md, rule 3).
enum class Atomics : std::uint8_t { cpu, nic };

struct ConnectRequest {
  net::Uri uri;
  std::uint32_t lane = 0;
  Bytes hello;
  Nanos deadline = 0;      // for everything until the server's answer to the hello
  Nanos call_timeout = 0;  // as in ConnectOptions
  std::shared_ptr<const net::TlsContext> tls = nullptr;  // likewise
  std::shared_ptr<layout::Credentials> user = nullptr;   // likewise
};

struct ClientTransport {
  net::UriScheme scheme;
  // See fabric::connect().
  Task<Result<std::unique_ptr<Connection>>> (*connect)(EventLoop& loop, ConnectRequest request);
};

struct ServerTransport {
  net::UriScheme scheme;
  Atomics atomics;
  unsigned descriptors;  // that the server's process has open for one client's connection
  std::unique_ptr<TransportServer> (*serve)(const Limits& limits);
};

template <class... Row>
struct TransportTable {
  static constexpr std::array<net::UriScheme, sizeof...(Row)> schemes = {Row::kScheme...};
  static constexpr std::array<ClientTransport, sizeof...(Row)> clients = {
      ClientTransport{Row::kScheme, &Row::connect}...};
  static constexpr std::array<ServerTransport, sizeof...(Row)> servers = {
      ServerTransport{Row::kScheme, Row::kAtomics, Row::kDescriptors, &Row::serve}...};
};

}  // namespace scalio::fabric
