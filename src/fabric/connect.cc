#include "fabric/connect.h"

#include <fmt/format.h>

#include <atomic>
#include <system_error>
#include <thread>

#include "fabric/shm_connection.h"
#include "fabric/socket.h"
#include "fabric/tcp_connection.h"

namespace scalio::fabric {

namespace {

constexpr Nanos kRetry = 2 * kMillisecond;

// A host's addresses. Names are looked up on a thread of their own, because the C library's only portable
// way blocks, for longer than any bound of ours; a lookup that takes too long is left to end alone.
Task<Result<std::vector<Address>>> find_host(EventLoop& loop, std::string host, std::uint16_t port,
                                             Nanos deadline) {
  Result<std::vector<Address>> numeric = resolve(host, port, true, false);
  if (numeric.ok()) co_return numeric;

  struct Lookup {
    std::atomic<bool> done{false};
    Result<std::vector<Address>> result = Status(Code::timed_out, "");
  };
  auto lookup = std::make_shared<Lookup>();
  Status started;
  try {
    std::thread([lookup, host, port] {
      lookup->result = resolve(host, port, false, false);
      lookup->done.store(true, std::memory_order_release);
    }).detach();
  } catch (const std::system_error& e) {
    started = Status(Code::unavailable, fmt::format("cannot start a thread: {}", e.what()));
  }
  if (!started.ok()) co_return started;
  while (!lookup->done.load(std::memory_order_acquire)) {
    if (loop.now() >= deadline) {
      co_return Status(Code::timed_out, fmt::format("looking up host {} takes too long", host));
    }
    co_await loop.sleep(kRetry);
  }
  co_return std::move(lookup->result);
}

// One attempt at one address, until `deadline`.
Task<Status> say_hello(EventLoop& loop, ClientConnection& connection, Address address, std::uint32_t shard,
                       const Bytes& hello, Nanos deadline) {
  Result<UniqueFd> socket = start_connecting(address);
  while (socket.code() == Code::busy && loop.now() < deadline) {
    co_await loop.sleep(kRetry);
    socket = start_connecting(address);
  }
  if (!socket.ok()) co_return socket.status();
  connection.begin(std::move(*socket), shard, hello, deadline);
  co_await connection.settled();
  co_return connection.lost();
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, Uri uri, std::uint32_t shard,
                                                  Bytes hello_request, ConnectOptions options) {
  if (hello_request.size() > kMaxMessage) {
    co_return Status(Code::invalid,
                     fmt::format("a hello of {} bytes, more than {}", hello_request.size(), kMaxMessage));
  }
  const Nanos deadline = loop.now() + options.connect_timeout;
  const bool local = uri.scheme == Uri::Scheme::unix_socket;
  std::vector<Address> addresses;
  if (local) {
    Result<Address> address = unix_address(uri.path);
    if (!address.ok()) co_return address.status();
    addresses.push_back(std::move(*address));
  } else {
    Result<std::vector<Address>> found = co_await find_host(loop, uri.host, uri.port, deadline);
    if (!found.ok()) co_return found.status();
    addresses = std::move(*found);
  }

  Status failure;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    std::unique_ptr<ClientConnection> connection;
    if (local) {
      connection = std::make_unique<ShmConnection>(loop, uri.text(), options.call_timeout);
    } else {
      connection = std::make_unique<TcpConnection>(loop, uri.text(), options.call_timeout);
    }
    // An address that does not answer must leave time for the others.
    const Nanos now = loop.now();
    const Nanos left = deadline > now ? deadline - now : 0;
    const Nanos until = now + left / (addresses.size() - i);
    failure = co_await say_hello(loop, *connection, addresses[i], shard, hello_request, until);
    if (failure.ok()) co_return std::unique_ptr<Connection>(std::move(connection));
    if (connection->answered()) break;
  }
  co_return failure;
}

}  // namespace scalio::fabric
