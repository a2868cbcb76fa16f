#include "fabric/connect.h"

#include <fmt/format.h>

#include "fabric/frame.h"

namespace scalio::fabric {

Task<Result<std::unique_ptr<Connection>>> connect(std::span<const ClientTransport> table,
                                                  EventLoop& loop, net::Uri uri, std::uint32_t lane,
                                                  Bytes hello_request, ConnectOptions options) {
  if (hello_request.size() > kMaxHello) {
    co_return Status(Code::invalid, fmt::format("a hello of {} bytes, more than {}",
                                                hello_request.size(), kMaxHello));
  }
  for (const ClientTransport& transport : table) {
    if (transport.scheme.name != uri.scheme) continue;
    ConnectRequest request{std::move(uri),           lane,
                           std::move(hello_request), loop.now() + options.connect_timeout,
                           options.call_timeout,     std::move(options.tls),
                           std::move(options.user)};
    co_return co_await transport.connect(loop, std::move(request));
  }
  co_return Status(
      Code::invalid,
      fmt::format("{}: this program has no transport for {}:", uri.text(), uri.scheme));
}

}  // namespace scalio::fabric
