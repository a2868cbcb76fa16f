// A lane for tests, without a thread: some shards of a store, each with an SSD of its own, in
// virtual time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "block/buffer.h"
#include "layout/superblock.h"
#include "server/lane.h"
#include "testing/faulty_device.h"
#include "testing/memory_device.h"
#include "testing/shard_fixture.h"
#include "testing/virtual_time.h"

namespace scalio::server {

// A store of four SSDs, two of which are this lane's, the first one: shards 0 and 2.
class LaneFixture {
 public:
  static constexpr std::uint32_t kShards = 4;
  static constexpr std::uint16_t kLane = 0;

  struct Part {
    Part(VirtualTime& time, std::uint32_t number, ByteSpan region)
        : geometry(geometry_of(number)),
          memory(time, "memory", geometry.device_size, 512),
          device(time, memory),
          shard(time, device, geometry, blocks(), region, options(number)) {
      const Bytes bytes = formatted(geometry);
      copy_bytes(bytes, memory.contents().data());
      for (const std::uint64_t at :
           {std::uint64_t{0}, geometry.device_size - layout::kSuperblockSize}) {
        layout::encode_superblock(memory.contents().subspan(at, layout::kSuperblockSize), geometry);
      }
    }
    static ShardOptions options(std::uint32_t number) {
      ShardOptions o;
      o.log.key = test_log_key();
      o.region_base = base_of(number);
      return o;
    }

    const layout::SsdGeometry geometry;
    block::MemoryDevice memory;
    block::FaultyDevice device;
    Shard shard;
  };

  LaneFixture() : region(2 * bytes_of_a_shard()) {
    for (const std::uint32_t number : {0U, 2U}) {
      parts[number] = std::make_unique<Part>(
          time, number, region.span().subspan(base_of(number), blocks().size()));
      EXPECT_TRUE(time.run(parts[number]->shard.start()).ok());
    }
    lane = std::make_unique<Lane>(kLane, deal_shards(kShards, 2),
                                  std::vector<Shard*>{&parts[0]->shard, &parts[2]->shard});
  }
  ~LaneFixture() {
    for (auto& [number, part] : parts) {
      part->device.heal();
      EXPECT_TRUE(time.run(part->shard.stop()).ok());
    }
    EXPECT_EQ(time.spawned(), 0U);
  }

  static layout::SsdGeometry geometry_of(std::uint32_t number) {
    layout::SsdGeometry g = test_geometry(64);
    g.shards = kShards;
    g.shard = number;
    return g;
  }
  static layout::RegionGeometry blocks() {
    return {.blocks = 64,
            .read_slots = 4,
            .write_slots = 2,
            .slot_size = layout::slot_size_for(120),
            .move_counts = 5};
  }
  static std::uint64_t bytes_of_a_shard() {
    return round_up(blocks().size(), layout::RegionGeometry::kLine);
  }
  static std::uint64_t base_of(std::uint32_t number) { return number / 2 * bytes_of_a_shard(); }

  // The n-th key of a shard.
  std::string key_of(std::uint32_t shard, int n) const {
    const layout::SsdGeometry& g = parts.at(shard)->geometry;
    for (int i = 0;; ++i) {
      std::string key = "key-" + std::to_string(i);
      if (g.placement().shard_of(hash_key(key, g.hash_seed)) == shard && n-- == 0) return key;
    }
  }
  // What its server asks of a shard's SSD from now on takes so long.
  void stall(std::uint32_t shard, Nanos time_taken) {
    for (const auto kind : {block::Io::Kind::write, block::Io::Kind::read, block::Io::Kind::flush})
      parts[shard]->device.delay(kind, time_taken);
  }
  void run_for(Nanos duration) { time.run_until(time.now() + duration); }

  VirtualTime time;
  block::Buffer region;
  std::map<std::uint32_t, std::unique_ptr<Part>> parts;
  std::unique_ptr<Lane> lane;
};

}  // namespace scalio::server
