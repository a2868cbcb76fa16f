// The server's end of one RDMA client, on its lane's thread. Its one-sided operations are its and
// the NIC's affair; here are its messages, first of all the hello.
#pragma once

#include "fabric/server/lane_port.h"
#include "net/verbs_queue.h"

namespace scalio::fabric {

// A lane and its region as an RDMA device has it: registered once, in a protection domain of its
// own, so that the lane's clients reach nothing else.
struct VerbsLane {
  LanePort* port = nullptr;
  net::ProtectionDomain domain;
  net::Registration registration;
};

// Fails with unavailable.
Result<VerbsLane> register_region(ibv_context* device, LanePort& port);

// Answers a client that asks to connect, on the lane's thread. The lane outlives it.
void admit(const VerbsLane& lane, net::VerbsRequest request);

}  // namespace scalio::fabric
