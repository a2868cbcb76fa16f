// The server's end of one RDMA client, on its shard's thread. Its one-sided operations are its and
// the NIC's affair; here are its messages, first of all the hello.
#pragma once

#include "fabric/server/lane_port.h"
#include "net/verbs_queue.h"

namespace scalio::fabric {

// A shard and its region as an RDMA device has it: registered once, in a protection domain of its
// own, so that the shard's clients reach nothing else.
struct VerbsShard {
  ShardPort* port = nullptr;
  net::ProtectionDomain domain;
  net::Registration registration;
};

// Fails with unavailable.
Result<VerbsShard> register_region(ibv_context* device, ShardPort& port);

// Answers a client that asks to connect, on the shard's thread. The shard outlives it.
void admit(const VerbsShard& shard, net::VerbsRequest request);

}  // namespace scalio::fabric
