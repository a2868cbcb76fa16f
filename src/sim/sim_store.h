// Store: the simulated machines of one store: disks, a server process for each shard, a slice of a
// disk, which can be killed and started again; and what clients need to reach them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/shard.h"
#include "sim/disk.h"
#include "sim/log_guard.h"
#include "sim/sim_fabric.h"

namespace scalio::sim {

// What a store is like; drawn from the seed.
struct StoreShape {
  std::uint32_t ssds = 1;
  std::uint32_t slices = 1;  // of each SSD
  std::uint32_t bucket_size = 512;
  std::uint64_t buckets = 4;
  std::uint64_t blocks = 1;
  std::uint64_t log_factor = 1;  // the log has so many times the least size
  std::uint64_t recovery_memory = server::Recoveries::kMemory;
  std::uint32_t read_slots = 2;
  std::uint32_t write_slots = 1;
  std::uint32_t batch_max = 256;
  Nanos batch_linger = 0;
  Nanos fill_timeout = 5 * kMillisecond;
  Nanos scrub_interval = 5 * kMillisecond;
  bool shared_memory = false;
  bool reads_parts = false;
};

// An SSD of the store, as `scalio format` leaves it.
std::unique_ptr<Disk> formatted_disk(World& world, const StoreShape& shape, std::uint32_t ssd);

class SimShard {
 public:
  // `disk` is the SSD that this shard is a slice of. `cut_power` is to cut the power of the
  // machine, and so kill() this shard among others.
  SimShard(World& world, const StoreShape& shape, std::uint32_t index, Disk& disk,
           std::function<void()> cut_power);

  // Starts the server if none runs.
  void start();
  void kill(bool power_cut);
  // Ends the server as SIGTERM does, when its clients have gone.
  void stop();
  bool serving() const { return endpoint_.host != nullptr; }
  bool stopped() const { return stopped_; }
  std::uint64_t starts() const { return starts_; }

  Endpoint& endpoint() { return endpoint_; }
  Disk& disk() { return disk_; }
  const layout::SsdGeometry& ssd() const { return ssd_; }
  const layout::RegionGeometry& blocks() const { return blocks_; }

  // Damage of write-slot words: of the block, ever; and whether a GET that begins now may meet
  // some.
  std::uint64_t damages(std::uint64_t block) const;
  bool misleads(std::uint64_t block) const;

  // A write of `key` with this version was acknowledged, or seen by a reader: from now on it must
  // be found.
  void acknowledged(std::string_view key, std::uint64_t version, bool removal);
  // A deletion of `key` was asked for; it has ended, with a known outcome.
  void removal_begins(std::string_view key) { ++acknowledged_[std::string(key)].removals; }
  void removal_ends(std::string_view key) { --acknowledged_[std::string(key)].removals; }
  // What is wrong with the region or the disk; empty if nothing is.
  std::string find_violation() const;
  // The words of a block, for people.
  std::string describe(std::uint64_t block) const;

 private:
  // One life of the server's process.
  struct Incarnation {
    std::unique_ptr<SimProcess> process;
    std::unique_ptr<SimDevice> device;
    // Aligned to a cache line, as a mapping is.
    std::vector<std::array<std::byte, 64>> memory;
    std::unique_ptr<server::Shard> shard;
    std::shared_ptr<Host> host;
  };
  Task<void> begin(Incarnation& incarnation);
  Task<void> end(Incarnation& incarnation);
  void scrub_later(Incarnation& incarnation);
  void consider_fate();
  void forge();

  World& world_;
  const StoreShape shape_;
  const std::function<void()> cut_power_;
  const layout::SsdGeometry ssd_;
  const layout::LogKey log_key_;
  const layout::RegionGeometry blocks_;
  Disk& disk_;
  LogGuard log_guard_;
  Endpoint endpoint_;
  std::vector<std::unique_ptr<Incarnation>> lives_;  // the last one may be running
  std::uint64_t starts_ = 0;
  bool stopped_ = false;
  struct Newest {
    std::uint64_t version = 0;
    bool removal = false;
    std::uint64_t removals = 0;  // that may be happening
  };
  std::map<std::string, Newest> acknowledged_;
};

}  // namespace scalio::sim
