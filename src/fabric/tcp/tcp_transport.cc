#include "fabric/tcp/tcp_transport.h"

#include <fmt/format.h>

#include "fabric/connect_attempt.h"
#include "fabric/tcp/tcp_connection.h"

namespace scalio::fabric {

namespace {
net::StreamSocket stream_of(net::UniqueFd socket, const ConnectRequest& request) {
  if (!request.tls) return socket;
  return {std::move(socket), request.tls, request.uri.host};
}

Task<ConnectAttempt> connect_at(EventLoop& loop, const ConnectRequest& request,
                                const net::Address& address, Nanos deadline) {
  Result<net::UniqueFd> socket = co_await open_socket(loop, address, deadline);
  if (!socket.ok()) co_return ConnectAttempt{socket.status()};
  auto connection = std::make_unique<TcpConnection>(loop, request.uri.text(), request.call_timeout);
  connection->log_in_as(request.user);
  connection->begin(stream_of(std::move(*socket), request), request.lane, request.hello, deadline);
  TcpConnection& its = *connection;
  co_await its.settled();
  const bool silent = !request.tls && !its.answered() && its.ended_by_peer();
  ConnectAttempt attempt = co_await settle(std::move(connection));
  // So does a server whose port is TLS's, to whom this end's hello is nonsense.
  if (silent) {
    const Status& why = attempt.connection.status();
    attempt.connection =
        Status(why.code(), why.message() + " without an answer: write tls: if it listens so there");
  }
  co_return attempt;
}
}  // namespace

Task<Result<std::unique_ptr<Connection>>> TcpTransport::connect(EventLoop& loop,
                                                                ConnectRequest request) {
  request.tls = nullptr;
  co_return co_await connect_to_host(loop, std::move(request), connect_at);
}

Task<Result<std::unique_ptr<Connection>>> TlsTransport::connect(EventLoop& loop,
                                                                ConnectRequest request) {
  if (!request.tls) {
    co_return Status(Code::invalid,
                     fmt::format("{}: a client needs the CA that has signed the server's "
                                 "certificate (tls-ca), or a pre-shared key (tls-psk)",
                                 request.uri.text()));
  }
  co_return co_await connect_to_host(loop, std::move(request), connect_at);
}

}  // namespace scalio::fabric
