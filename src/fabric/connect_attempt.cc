#include "fabric/connect_attempt.h"

#include <vector>

#include "net/find_host.h"

namespace scalio::fabric {

namespace {
constexpr Nanos kRetry = 2 * kMillisecond;
}

Task<ConnectAttempt> settle(std::unique_ptr<ClientConnection> connection) {
  co_await connection->settled();
  if (!connection->alive()) co_return ConnectAttempt{connection->lost(), connection->answered()};
  co_return ConnectAttempt{std::unique_ptr<Connection>(std::move(connection)), true};
}

Task<Result<net::UniqueFd>> open_socket(EventLoop& loop, const net::Address& address,
                                        Nanos deadline) {
  Result<net::UniqueFd> socket = net::start_connecting(address);
  while (socket.code() == Code::busy && loop.now() < deadline) {
    co_await loop.sleep(kRetry);
    socket = net::start_connecting(address);
  }
  co_return socket;
}

Task<Result<std::unique_ptr<Connection>>> connect_to_host(EventLoop& loop, ConnectRequest request,
                                                          ConnectAt connect_at) {
  Result<std::vector<net::Address>> found =
      co_await net::find_host(loop, request.uri.host, request.uri.port, request.deadline);
  if (!found.ok()) co_return found.status();
  Status failure;
  for (std::size_t i = 0; i < found->size(); ++i) {
    // An address that does not answer must leave time for the others.
    const Nanos now = loop.now();
    const Nanos left = request.deadline > now ? request.deadline - now : 0;
    const Nanos until = now + left / (found->size() - i);
    ConnectAttempt made = co_await connect_at(loop, request, (*found)[i], until);
    failure = made.connection.status();
    if (made.connection.ok()) co_return std::move(made.connection);
    if (made.answered) break;
  }
  co_return failure;
}

}  // namespace scalio::fabric
