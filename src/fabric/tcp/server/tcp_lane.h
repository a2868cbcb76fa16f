// TcpLane: one lane's end of its TCP clients, on the lane's thread. Their one-sided operations
// are the affair of the Nic that has the connection, which hands over requests and takes replies.
#pragma once

#include <memory>

#include "fabric/server/lane_port.h"
#include "fabric/tcp/server/tcp_link.h"

namespace scalio::fabric {

class TcpLane {
 public:
  // Outlives the port's peers.
  explicit TcpLane(LanePort& port) : port_(port) {}

  // From the NIC.
  void on_message(NicMessage& message);

 private:
  void admit(const std::shared_ptr<TcpLink>& link, ByteView request);

  LanePort& port_;
};

}  // namespace scalio::fabric
