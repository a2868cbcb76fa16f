// ShmServer: the server's end over shared memory. A client gets the region's memfd with the answer
// to its hello and uses the memory itself. Its socket carries messages, and its hangup says that a
// side has gone; it is served by the lane's own thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fabric/server/socket_acceptor.h"
#include "fabric/server/transport_server.h"
#include "net/socket.h"
#include "task/io_thread.h"

namespace scalio::fabric {

class ShmServer final : public TransportServer {
 public:
  explicit ShmServer(const Limits& limits) : limits_(limits) {}

  Result<net::Uri> listen(const net::Uri& uri) override;
  Status prepare(std::vector<LanePort*> ports) override;
  void start() override;
  void stop() override;

 private:
  void on_hello(FrameStream& stream, const std::string& name, const Hello& hello);

  const Limits limits_;
  std::vector<net::Listener> listeners_;
  std::vector<LanePort*> ports_;
  std::unique_ptr<IoThread> thread_;  // takes connections; what it has taken is then the lanes'
  std::unique_ptr<SocketAcceptor> acceptor_;
};

}  // namespace scalio::fabric
