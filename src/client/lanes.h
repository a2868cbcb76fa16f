// Lanes: a client's connections to its server, one to each lane, which its shards share.
//
// A restarted server may have other lanes. Each says on every new connection which lane serves each
// shard, and what was said last holds: a shard's link asks for its shard, and is led to its lane.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "fabric/fabric.h"
#include "layout/message.h"
#include "task/deadlines.h"
#include "task/sync.h"

namespace scalio::client {

// A connection that a shard has answered the hello on.
struct JoinedShard {
  std::shared_ptr<fabric::Connection> connection;
  Bytes hello;                 // a layout::HelloReply
  std::uint64_t features = 0;  // of the messages, that both sides know
  std::size_t calls = 0;  // that may be in flight to the shard, so that others' find room as well
};

class Lanes {
 public:
  // Makes one connection to a lane, with the given hello, in no more time than `bound`.
  using Connector = std::function<Task<Result<std::unique_ptr<fabric::Connection>>>(
      std::uint32_t lane, Bytes hello, Nanos bound)>;

  Lanes(Executor& executor, Connector connector);

  // Says `hello`, a layout::HelloRequest, to a shard, over the connection to its lane, which is
  // made if there is none. Takes no longer than `bound`. Failures: those of the connector, what the
  // shard refuses with, timed_out, unavailable.
  Task<Result<JoinedShard>> join(std::uint32_t shard, Bytes hello, Nanos bound);

  // Of the client's, for all of its shards.
  const Deadlines& deadlines() const { return deadlines_; }
  // How many shards the server has; 0 before it has said so.
  std::uint32_t shards() const { return static_cast<std::uint32_t>(deal_.size()); }
  // One-sided operations that a NIC was given, on all connections so far.
  std::uint64_t nic_operations() const;
  // Lets go of all connections: each ends when no shard has it any more. Everything fails from now
  // on.
  void close();

 private:
  struct LaneEnd {
    explicit LaneEnd(Executor& executor) : connected(executor) {}
    std::shared_ptr<fabric::Connection> connection;  // the last one; or null
    std::vector<std::uint16_t> deal;                 // as it was said on this connection
    std::uint64_t features = 0;                      // likewise, of those that this side knows
    bool connecting = false;
    Status failure;  // of the last attempt
    WaitList connected;

    bool alive() const { return connection && connection->alive(); }
  };
  Task<Result<JoinedShard>> find_and_join(std::uint32_t shard, Bytes hello, Nanos deadline);
  Task<Result<LaneEnd*>> connect(std::uint32_t lane, Nanos deadline);
  Status learn(std::uint32_t lane, const fabric::Connection& connection, LaneEnd& end);
  void let_go(LaneEnd& end);
  Task<Result<JoinedShard>> greet(JoinedShard lane, std::uint32_t shard, Bytes hello);
  // Where to ask for it. While nothing is known, any lane can say.
  std::uint32_t lane_of(std::uint32_t shard) const {
    return shard < deal_.size() ? deal_[shard] : 0;
  }

  Executor& executor_;
  const Connector connector_;
  const Deadlines deadlines_;
  std::vector<std::uint16_t> deal_;  // of each shard, its lane; empty while not known
  std::map<std::uint32_t, std::unique_ptr<LaneEnd>> ends_;
  std::uint64_t earlier_nic_operations_ = 0;  // of connections that were let go
  bool closed_ = false;
};

}  // namespace scalio::client
