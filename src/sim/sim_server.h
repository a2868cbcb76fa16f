// SimServer: the server of a simulated store: lanes, each a process with some of the shards, which
// are killed and started again together; and what clients need to reach them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/lane.h"
#include "sim/older_release.h"
#include "sim/sim_store.h"

namespace scalio::sim {

class SimServer {
 public:
  using Shards = std::vector<std::unique_ptr<SimShard>>;

  // `cut_power` is to cut the power of the machine, and so kill() this among others. The shards
  // outlive it.
  SimServer(World& world, const StoreShape& shape, Shards& shards, std::function<void()> cut_power);

  // Starts the server if none runs, with any number of lanes.
  void start();
  void kill(bool power_cut);
  // Ends the server as SIGTERM does, when its clients have gone.
  void stop();
  bool serving() const { return serving_; }
  bool stopped() const { return stopped_; }
  std::uint64_t starts() const { return starts_; }
  std::uint64_t older_starts() const { return older_starts_; }
  // Those of the server that runs, or ran last.
  std::size_t lanes() const { return lives_.back()->lanes.size(); }
  // Store time that the server may have told of a shard, at most; 0: none is known now.
  std::uint64_t told_time(std::uint32_t shard);
  // What a shard's clock says, or has said at most before.
  std::uint64_t store_time(std::uint32_t shard);
  // Records for which its merges found no room.
  std::uint64_t roomless() const;
  // Bytes of large values that its cleaners have moved, or are about to.
  std::uint64_t moved() const;

  // Where a lane is reached, while there is one of this number; below the number of shards.
  Endpoint& endpoint(std::uint32_t lane) { return *endpoints_[lane]; }
  std::vector<std::unique_ptr<Endpoint>>& endpoints() { return endpoints_; }
  // A client's connection to a lane, as client::Lanes wants it.
  Task<Result<std::unique_ptr<fabric::Connection>>> connect(std::uint32_t lane, SimProcess& client,
                                                            Bytes hello);

  // How often a write-slot word of the block was damaged, ever.
  std::uint64_t damages(Host::Block block) const;

 private:
  struct ServedShard {
    SimShard* shard = nullptr;
    layout::RegionGeometry blocks;  // in the lane's region
    std::unique_ptr<SimDevice> device;
    std::unique_ptr<server::Shard> service;
  };
  struct SimLane {
    std::unique_ptr<SimProcess> process;
    // Aligned to a cache line, as a mapping is.
    std::vector<std::array<std::byte, 64>> memory;
    std::vector<std::unique_ptr<ServedShard>> shards;
    std::unique_ptr<server::Lane> service;
    std::optional<OlderRelease> older;  // in its place, where the server is one
    std::shared_ptr<Host> host;         // while it serves

    ByteSpan region() { return {memory[0].data(), memory.size() * memory[0].size()}; }
  };
  // One life of the server.
  struct Incarnation {
    std::vector<std::unique_ptr<SimLane>> lanes;
    bool alive = true;
    bool older = false;       // it is of an older release
    std::size_t working = 0;  // shards that start, or stop
  };
  std::unique_ptr<SimLane> make_lane(std::uint16_t number, const std::vector<std::uint16_t>& deal);
  void make_shard(SimLane& lane, SimShard& shard, std::uint64_t base);
  Task<void> begin(Incarnation& life, SimLane& lane, ServedShard& shard);
  void serve(Incarnation& life);
  Task<void> end(Incarnation& life, SimLane& lane, ServedShard& shard);
  void scrub_later(SimLane& lane);
  void consider_fate();
  void end_service();

  World& world_;
  const StoreShape shape_;
  Random releases_;
  Shards& shards_;
  const std::function<void()> cut_power_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Incarnation>> lives_;  // the last one may be running
  std::shared_ptr<server::Recoveries> recoveries_;   // of its shards
  std::uint64_t starts_ = 0;
  std::uint64_t older_starts_ = 0;  // of them, those of an older release
  Nanos wall_offset_ = 0;  // of the machine's wall clock, which somebody may set while it is down
  std::map<std::uint32_t, std::uint64_t> store_times_;
  bool serving_ = false;
  bool stopped_ = false;
};

}  // namespace scalio::sim
