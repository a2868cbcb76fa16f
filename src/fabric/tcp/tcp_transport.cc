#include "fabric/tcp/tcp_transport.h"

#include "fabric/connect_attempt.h"
#include "fabric/tcp/tcp_connection.h"

namespace scalio::fabric {

namespace {
Task<ConnectAttempt> connect_at(EventLoop& loop, const ConnectRequest& request,
                                const net::Address& address, Nanos deadline) {
  Result<net::UniqueFd> socket = co_await open_socket(loop, address, deadline);
  if (!socket.ok()) co_return ConnectAttempt{socket.status()};
  auto connection = std::make_unique<TcpConnection>(loop, request.uri.text(), request.call_timeout);
  connection->begin(std::move(*socket), request.lane, request.hello, deadline);
  co_return co_await settle(std::move(connection));
}
}  // namespace

Task<Result<std::unique_ptr<Connection>>> TcpTransport::connect(EventLoop& loop,
                                                                ConnectRequest request) {
  co_return co_await connect_to_host(loop, std::move(request), connect_at);
}

}  // namespace scalio::fabric
