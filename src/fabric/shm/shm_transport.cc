#include "fabric/shm/shm_transport.h"

#include "fabric/connect_attempt.h"
#include "fabric/shm/shm_connection.h"

namespace scalio::fabric {

Task<Result<std::unique_ptr<Connection>>> ShmTransport::connect(EventLoop& loop,
                                                                ConnectRequest request) {
  Result<net::Address> address = net::unix_address(request.uri.path);
  if (!address.ok()) co_return address.status();
  Result<net::UniqueFd> socket = co_await open_socket(loop, *address, request.deadline);
  if (!socket.ok()) co_return socket.status();
  auto connection = std::make_unique<ShmConnection>(loop, request.uri.text(), request.call_timeout);
  connection->log_in_as(request.user);
  connection->begin(std::move(*socket), request.lane, request.hello, request.deadline);
  ConnectAttempt made = co_await settle(std::move(connection));
  co_return std::move(made.connection);
}

}  // namespace scalio::fabric
