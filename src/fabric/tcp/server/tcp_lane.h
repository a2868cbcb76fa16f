// TcpLane: one lane's end of its TCP clients, on the lane's thread. Their one-sided operations
// are the Nic's affair, which hands over their requests and takes the replies.
#pragma once

#include <memory>

#include "fabric/server/lane_port.h"
#include "fabric/tcp/server/tcp_link.h"

namespace scalio::fabric {

class TcpLane {
 public:
  // Outlives the port's peers.
  TcpLane(LanePort& port, std::shared_ptr<NicChannel> to_nic)
      : port_(port), to_nic_(std::move(to_nic)) {}

  // From the NIC.
  void on_message(NicMessage& message);

 private:
  void admit(const std::shared_ptr<TcpLink>& link, ByteView request);

  LanePort& port_;
  const std::shared_ptr<NicChannel> to_nic_;
};

}  // namespace scalio::fabric
