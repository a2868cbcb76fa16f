// What a fabric server serves, and within which limits.
#pragma once

#include <cstdint>
#include <memory>

#include "fabric/fabric.h"
#include "fabric/message_stream.h"
#include "fabric/region.h"
#include "fabric/user_table.h"
#include "net/tls_source.h"
#include "task/event_loop.h"

namespace scalio::fabric {

// One lane. `loop` is run by the caller, on the lane's thread, where all calls of `service` are
// made.
struct LaneEndpoint {
  EventLoop* loop = nullptr;
  Region* region = nullptr;
  Service* service = nullptr;
};

struct Limits {
  // Clients connected to one lane; more are refused (busy).
  std::size_t max_connections = 1024;
  // From accepting a connection to having its whole HELLO.
  Nanos hello_timeout = 5 * kSecond;
  // Bytes waiting to be sent to one client. Beyond, nothing more is read from it until it has taken
  // half.
  std::size_t max_queued = 4 * 1024 * 1024;
  // Bytes of requests of one client that another thread has read and its lane's has not. Beyond,
  // nothing more is read from it until the lane's thread has come nearer.
  std::size_t max_unseen = 1024 * 1024;
  // Of all clients of a lane together. Beyond, each has one request that is not seen.
  std::size_t max_unseen_of_lane = 64 * 1024 * 1024;
  // A client that takes nothing of what waits for it for this long is disconnected.
  Nanos stall_timeout = 30 * kSecond;
  // Threads that stand in for a NIC where there is none, at least one; each has an equal part of
  // the connections.
  unsigned nic_threads = 1;
  // The longest that one of them looks for work before it sleeps.
  Nanos spin = 0;
  // Who the server is where it speaks TLS; null: it does not.
  std::shared_ptr<const net::TlsSource> tls = nullptr;
  // Who may connect; null: everybody, and do everything.
  std::shared_ptr<UserTable> users = nullptr;

  StreamLimits of_a_stream() const { return {max_queued, stall_timeout}; }
};

}  // namespace scalio::fabric
