// The simulated fabric: connections whose one-sided operations happen in small steps, each at its
// own moment.
//
// Per connection, operations happen in order; between connections in any. A READ or WRITE may be
// torn into parts between any two words. A read_block is a READ of the whole block, as RDMA's is,
// or reads the header, then what that tells. A CAS is a read and, later, a write: atomic with the
// CAS of others, not with the stores of the server's CPU or with WRITEs. Messages overtake each
// other and one-sided operations.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fabric/fabric.h"
#include "layout/geometry.h"
#include "sim/world.h"

namespace scalio::sim {

class SimChannel;

// One incarnation of a lane of a server.
struct Host {
  // The blocks of a shard, in the lane's region.
  struct Part {
    std::uint32_t shard = 0;
    layout::RegionGeometry blocks;
  };
  using Block = std::pair<std::uint32_t, std::uint64_t>;  // of a shard, its number

  Host(SimProcess& server, fabric::Service& lane, std::vector<Part> shards, ByteSpan memory,
       std::uint64_t number)
      : process(server), service(lane), parts(std::move(shards)), region(memory), epoch(number) {}
  // Of shard 0 alone.
  Host(SimProcess& server, fabric::Service& shard, const layout::RegionGeometry& blocks,
       ByteSpan memory, std::uint64_t number)
      : Host(server, shard, std::vector<Part>{{0, blocks}}, memory, number) {}
  SimProcess& process;
  fabric::Service& service;
  const std::vector<Part> parts;
  const ByteSpan region;
  const std::uint64_t epoch;
  std::set<std::uint64_t> swapping;  // words whose CAS has read and not yet written
  std::vector<std::shared_ptr<SimChannel>> channels;

  // A stray WRITE hits a write slot. Returns its block if it is the word that was hit.
  std::optional<Block> damage(World& world);
  // Whether such damage to the block is still there: to a word, which can mislead readers; to
  // anything.
  bool misleads(Block block) const;
  bool damaged(Block block) const;
  const layout::RegionGeometry& blocks_of(std::uint32_t shard) const;

 private:
  void forge_body(World& world, Block block, std::uint32_t slot);
  bool word_damaged(Block block, std::uint32_t slot) const;
  bool body_damaged(Block block, std::uint32_t slot) const;
  std::set<std::pair<Block, std::uint32_t>> hit_bodies_;  // ever
};

// Where a lane is reached, whichever its server is.
struct Endpoint {
  World& world;
  // Over shared memory, operations on a dead server's region go on succeeding (rule 9); else they
  // fail.
  const bool shared_memory;
  std::uint64_t epoch = 0;     // of the newest server, from before it accepts anything
  std::shared_ptr<Host> host;  // the server that accepts connections, if there is one
  std::map<Host::Block, std::uint64_t> damages{};  // of write-slot words, ever
  // A read_block reads the part of the block that is asked for; else all of it.
  const bool reads_parts = false;
};

// One connection: the queue pair, and the message channel.
class SimChannel final : public fabric::Peer, public std::enable_shared_from_this<SimChannel> {
 public:
  SimChannel(Endpoint& endpoint, std::shared_ptr<Host> host, SimProcess& client)
      : world_(endpoint.world),
        endpoint_(endpoint),
        host_(std::move(host)),
        client_(client),
        name_(client.name()) {}

  // Makes a connection from `client`, with the given hello.
  static Task<Result<std::unique_ptr<fabric::Connection>>> connect(Endpoint& endpoint,
                                                                   SimProcess& client, Bytes hello);

  // The connection breaks: what was posted may still happen, in part.
  void lose(const std::string& why);
  // Does one step of what is posted. False if there is nothing.
  bool step();
  // The server's process has died.
  void server_died();

  bool lost() const { return !lost_.ok(); }
  const SimProcess& client() const { return client_; }

  void reply(std::uint64_t call, ByteView payload) override;
  void close(std::string reason) override { lose(reason); }
  const std::string& name() const override { return name_; }

 private:
  class End;
  struct Posted {
    fabric::Op* op;
    std::uint64_t offset;  // in the region, where it happens
    std::vector<std::pair<std::size_t, std::size_t>>
        parts;               // begin, end; in the order in which they happen
    bool resent = false;     // the last part comes much later
    bool swap_read = false;  // of a CAS: the word has been read
    bool chosen = false;     // of a read_block of a part: what follows its header
    std::uint64_t result = 0;
    bool done = false;
  };
  void post(fabric::Op& op);
  void tear(Posted& posted);
  void choose_bodies(Posted& posted);
  void misplace(Posted& posted);
  void post(fabric::Call& call, ByteView request);
  void schedule();
  void happened(const std::shared_ptr<Posted>& posted);

  World& world_;
  Endpoint& endpoint_;
  const std::shared_ptr<Host> host_;
  SimProcess& client_;
  const std::string name_;
  Bytes hello_;
  bool greeted_ = false;  // the server has accepted the hello
  Status lost_;
  std::deque<std::shared_ptr<Posted>> queue_;
  std::vector<std::shared_ptr<Posted>> open_;  // not yet completed
  bool scheduled_ = false;
  Nanos last_completion_ = 0;
  std::map<std::uint64_t, fabric::Call*> calls_;
  std::uint64_t last_call_ = 0;
};

// Between two stores of the server's CPU to its region: others act (BlockTable's `between_stores`).
void interleave(World& world, Host& host);

}  // namespace scalio::sim
