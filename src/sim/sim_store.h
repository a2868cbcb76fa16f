// Store: disks, and the shards on them, slices of a disk, as they are beyond a server's life: what
// was acknowledged of each, and whether that is there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "layout/log_key.h"
#include "server/merger.h"
#include "server/recoveries.h"
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
  // Of the buckets behind the last home only these have room; others have taken the rest.
  std::uint64_t first_spare = 0, spare = layout::SsdGeometry::kMaxReach;
  std::uint64_t segments = 0;  // of the area for large values; 0: there is none
  std::uint64_t blocks = 1;
  std::uint64_t log_factor = 1;  // the log has so many times the least size
  std::uint64_t recovery_memory = server::Recoveries::kMemory;
  std::uint64_t merges = server::Merger::kUsual;  // at once
  std::uint32_t read_slots = 2;
  std::uint32_t write_slots = 1;
  std::uint32_t move_counts = 0;  // of a shard; 0: its server tells none
  std::uint32_t batch_max = 256;
  Nanos batch_linger = 0;
  Nanos fill_timeout = 5 * kMillisecond;
  Nanos scrub_interval = 5 * kMillisecond;
  bool shared_memory = false;
  bool reads_parts = false;
  // Of a million of its servers' starts, those of an older release.
  std::uint64_t older_starts = 0;
  std::uint64_t releases_seed = 0;  // of which these are
};

// The key of the records that have taken the room of the others.
constexpr std::string_view kOthersKey = "x";

// An SSD of the store, as `scalio format` leaves it.
std::unique_ptr<Disk> formatted_disk(World& world, const StoreShape& shape, std::uint32_t ssd);

class SimShard {
 public:
  // `disk` is the SSD that this shard is a slice of.
  SimShard(World& world, const StoreShape& shape, std::uint32_t index, Disk& disk);

  Disk& disk() { return disk_; }
  const layout::SsdGeometry& ssd() const { return ssd_; }
  const layout::LogKey& log_key() const { return log_key_; }
  const layout::RegionGeometry& blocks() const { return blocks_; }

  // A server is about to start: its log may have been forged.
  void before_start();
  // A lane serves it from now on; no longer.
  void served_at(std::shared_ptr<Host> host) {
    host_ = std::move(host);
    served_ = true;
  }
  void not_served() { served_ = false; }

  // Whether a GET that begins now may meet damage of the block's write-slot words. Until the next
  // server serves, clients may go on with the region of the one before.
  bool misleads(std::uint64_t block) const { return host_ && host_->misleads({ssd_.shard, block}); }

  // A write of `key` with this version was acknowledged, or seen by a reader: from now on it must
  // be found; from its `end` on, if it has one, it may be gone.
  void acknowledged(std::string_view key, std::uint64_t version, bool removal,
                    std::uint64_t end = 0);
  // A deletion of `key` was asked for, or a write whose record ends then; it has come to an end,
  // with a known outcome.
  void removal_begins(std::string_view key, std::uint64_t end = 0) {
    acknowledged_[std::string(key)].removals.insert(end);
  }
  void removal_ends(std::string_view key, std::uint64_t end = 0) {
    auto& removals = acknowledged_[std::string(key)].removals;
    removals.erase(removals.find(end));
  }
  // What is wrong with the region or the disk; empty if nothing is.
  std::string find_violation() const;
  // The same of the log's figures, after a clean stop: they are what the buckets hold.
  std::string find_wrong_totals() const;
  // The words of a block, for people.
  std::string describe(std::uint64_t block) const;

 private:
  void forge();

  World& world_;
  const StoreShape shape_;
  const layout::SsdGeometry ssd_;
  const layout::LogKey log_key_;
  const layout::RegionGeometry blocks_;
  Disk& disk_;
  LogGuard log_guard_;
  std::shared_ptr<Host> host_;  // the last lane that has served it
  bool served_ = false;
  struct Newest {
    std::uint64_t version = 0;
    bool removal = false;
    std::uint64_t end = 0;
    std::multiset<std::uint64_t> removals = {};  // that may be happening: from when on
  };
  std::map<std::string, Newest> acknowledged_;
};

}  // namespace scalio::sim
