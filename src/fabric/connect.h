// connect(): the client's way to a server's lane, over any transport of a table.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "fabric/fabric.h"
#include "fabric/transport.h"
#include "net/tls_context.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::fabric {

struct ConnectOptions {
  Nanos connect_timeout = 5 * kSecond;  // for everything until the server's answer to the hello
  // For any one operation, and for a lane that answers nothing while a call is in flight: then the
  // connection is lost. A call to a lane that answers others may take longer.
  Nanos call_timeout = 10 * kSecond;
  // Whom this client is and believes, over TLS; null where that is not used.
  std::shared_ptr<const net::TlsContext> tls = nullptr;
  // Who connects; null: nobody in particular, which a server with users refuses.
  std::shared_ptr<layout::Credentials> user = nullptr;
};

// Connects to one lane, saying `hello_request` (at most kMaxHello bytes) to its service, by the
// transport of `table` that has the URI's scheme. The table must outlive the task.
//
// The connection belongs to `loop`'s thread and must be destroyed before the loop, which must turn
// once after that: the connection may have posted work to it. Destroying it completes whatever is
// in flight as unavailable. Over shared memory one-sided operations complete at once, without a
// system call; a client that does nothing else learns of a restarted server by the epoch, and of
// one that died when its loop next turns.
//
// Failures: unavailable (nobody listens, what is there is not a Scalio server, or no RDMA device),
// timed_out, busy (too many clients), invalid (URI, lane), and whatever the service refuses the
// hello with.
Task<Result<std::unique_ptr<Connection>>> connect(std::span<const ClientTransport> table,
                                                  EventLoop& loop, net::Uri uri, std::uint32_t lane,
                                                  Bytes hello_request, ConnectOptions options);

}  // namespace scalio::fabric
