// What the client's ends of transports have in common while they connect.
#pragma once

#include <memory>

#include "fabric/client_connection.h"
#include "fabric/transport.h"
#include "net/socket.h"
#include "net/unique_fd.h"

namespace scalio::fabric {

struct ConnectAttempt {
  Result<std::unique_ptr<Connection>> connection;
  bool answered = false;  // by a server, if only with a no
};

// Waits for the answer to the hello of a connection that has begun.
Task<ConnectAttempt> settle(std::unique_ptr<ClientConnection> connection);

// A socket on its way to `address`. Waits while the queue of a Unix socket is full.
Task<Result<net::UniqueFd>> open_socket(EventLoop& loop, const net::Address& address,
                                        Nanos deadline);

// Tries the addresses of the request's host, one after the other, until a server answers at one.
using ConnectAt = Task<ConnectAttempt> (*)(EventLoop& loop, const ConnectRequest& request,
                                           const net::Address& address, Nanos deadline);
Task<Result<std::unique_ptr<Connection>>> connect_to_host(EventLoop& loop, ConnectRequest request,
                                                          ConnectAt connect_at);

}  // namespace scalio::fabric
