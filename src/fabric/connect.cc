#include "fabric/connect.h"

#include <fmt/format.h>

#include <type_traits>

#include "fabric/rdma/verbs_connection.h"
#include "fabric/shm/shm_connection.h"
#include "fabric/tcp/tcp_connection.h"
#include "net/find_host.h"
#include "net/socket.h"

namespace scalio::fabric {

namespace {

constexpr Nanos kRetry = 2 * kMillisecond;

struct Attempt {
  Result<std::unique_ptr<Connection>> connection;
  bool answered = false;  // by a server, if only with a no
};

// One attempt at one address, until `deadline`.
template <class Transport>
Task<Attempt> attempt(EventLoop& loop, std::string name, net::Address address, std::uint32_t shard,
                      const Bytes& hello, Nanos deadline, Nanos call_timeout) {
  auto connection = std::make_unique<Transport>(loop, std::move(name), call_timeout);
  if constexpr (std::is_same_v<Transport, VerbsConnection>) {
    connection->begin(address, shard, hello, deadline);
  } else {
    Result<net::UniqueFd> socket = net::start_connecting(address);
    while (socket.code() == Code::busy && loop.now() < deadline) {
      co_await loop.sleep(kRetry);
      socket = net::start_connecting(address);
    }
    if (!socket.ok()) co_return Attempt{socket.status()};
    connection->begin(std::move(*socket), shard, hello, deadline);
  }
  co_await connection->settled();
  if (!connection->alive()) co_return Attempt{connection->lost(), connection->answered()};
  co_return Attempt{std::unique_ptr<Connection>(std::move(connection)), true};
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, net::Uri uri,
                                                  std::uint32_t shard, Bytes hello_request,
                                                  ConnectOptions options) {
  if (hello_request.size() > kMaxMessage) {
    co_return Status(Code::invalid, fmt::format("a hello of {} bytes, more than {}",
                                                hello_request.size(), kMaxMessage));
  }
  const Nanos deadline = loop.now() + options.connect_timeout;
  const bool local = uri.scheme == net::Uri::Scheme::unix_socket;
  std::vector<net::Address> addresses;
  if (local) {
    Result<net::Address> address = net::unix_address(uri.path);
    if (!address.ok()) co_return address.status();
    addresses.push_back(std::move(*address));
  } else {
    Result<std::vector<net::Address>> found =
        co_await net::find_host(loop, uri.host, uri.port, deadline);
    if (!found.ok()) co_return found.status();
    addresses = std::move(*found);
  }

  Status failure;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // An address that does not answer must leave time for the others.
    const Nanos now = loop.now();
    const Nanos left = deadline > now ? deadline - now : 0;
    const Nanos until = now + left / (addresses.size() - i);
    const auto begin = local                                 ? attempt<ShmConnection>
                       : uri.scheme == net::Uri::Scheme::tcp ? attempt<TcpConnection>
                                                             : attempt<VerbsConnection>;
    Attempt made = co_await begin(loop, uri.text(), addresses[i], shard, hello_request, until,
                                  options.call_timeout);
    failure = made.connection.status();
    if (made.connection.ok()) co_return std::move(made.connection);
    if (made.answered) break;
  }
  co_return failure;
}

}  // namespace scalio::fabric
