#include "fabric/rdma/rdma_transport.h"

#include "fabric/connect_attempt.h"
#include "fabric/rdma/verbs_connection.h"

namespace scalio::fabric {

namespace {
Task<ConnectAttempt> connect_at(EventLoop& loop, const ConnectRequest& request,
                                const net::Address& address, Nanos deadline) {
  auto connection =
      std::make_unique<VerbsConnection>(loop, request.uri.text(), request.call_timeout);
  connection->begin(address, request.lane, request.hello, deadline);
  co_return co_await settle(std::move(connection));
}
}  // namespace

Task<Result<std::unique_ptr<Connection>>> RdmaTransport::connect(EventLoop& loop,
                                                                 ConnectRequest request) {
  if (request.user) {
    co_return Status(Code::invalid,
                     request.uri.text() + ": there are no users over rdma:; connect without one");
  }
  co_return co_await connect_to_host(loop, std::move(request), connect_at);
}

}  // namespace scalio::fabric
