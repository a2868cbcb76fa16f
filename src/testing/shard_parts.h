// The parts that a shard's writes go through, put together without the shard, for the tests of
// each.
#pragma once

#include <string>
#include <string_view>

#include "server/checkpointer.h"
#include "server/write_path.h"
#include "testing/shard_fixture.h"
#include "testing/whole_log.h"

namespace scalio::server {

class ShardParts {
 public:
  // A store that was just formatted.
  explicit ShardParts(const layout::SsdGeometry& ssd_geometry, std::uint64_t block_count = 4)
      : loop(make_loop()),
        geometry(ssd_geometry),
        blocks{block_count, 4, 2, layout::slot_size_for(ssd_geometry.inline_limit)},
        ssd(*loop, formatted(geometry), 1),
        device(*loop, ssd),
        region(blocks.size()),
        table(blocks, region.span()),
        log(*loop, device, geometry, {.key = test_log_key()}),
        stop(geometry.shard, [this] { wake_all(); }),
        queue(*loop),
        space(*loop, geometry, table, log),
        repair(*loop, geometry, table, log),
        segments(geometry),
        images(geometry, log, segments),
        room(*loop, geometry),
        moves(blocks, region.span(), geometry.buckets),
        buckets(*loop, device, geometry, images, room, moves),
        merger(*loop, device, geometry, table, log, space, queue, repair, buckets, room, stop),
        values(*loop, device, geometry, log, space, segments, stop),
        checkpointer(*loop, device, geometry, table, log, space, images, repair, merger, values,
                     stop),
        writes(*loop, device, geometry, table, log, space, queue, repair, buckets, room, merger,
               segments, stop) {
    Result<storage::WholeLog> scan =
        run(*loop, storage::whole_log(device, geometry, test_log_key()));
    EXPECT_TRUE(scan.ok()) << scan.status().to_string();
    log.resume(std::move(scan->position));
    loop->spawn(log.run());
  }
  ~ShardParts() {
    device.heal();
    run(*loop, writes.stop());
    checkpointer.stop();
    turn_until(*loop, [&] { return merger.running() == 0; });
    log.stop();
    wake_all();
    turn_until(*loop, [&] { return loop->spawned() == 0; });
  }
  void wake_all() {
    queue.wake_all();
    space.wake_all();
    writes.wake_all();
    values.wake_all();
  }
  // Waits until nothing that could go on by itself does.
  void settle() {
    for (int i = 0; i < 200; ++i) loop->turn(false);
  }

  std::uint64_t hash(std::string_view key) const { return geometry.point_of(key); }
  std::uint64_t home_of(std::string_view key) const { return geometry.home_bucket(hash(key)); }
  // The i-th key whose home is `bucket`.
  std::string key_in(std::uint64_t bucket, int i) const {
    for (int n = 0;; ++n) {
      std::string key = "key" + std::to_string(n);
      if (home_of(key) == bucket && i-- == 0) return key;
    }
  }
  // The i-th key of a block.
  std::string key_in_block(std::uint64_t block, int i) const {
    for (int n = 0;; ++n) {
      std::string key = "key" + std::to_string(n);
      if (blocks.block_of(hash(key)) == block && i-- == 0) return key;
    }
  }

  // A write as the write path does it, of which tests see its slot: one must be free, or have the
  // key.
  WriteSlot& put(const std::string& key, const std::string& value) {
    const std::uint64_t block = blocks.block_of(hash(key));
    const auto held = table.find(block, hash(key), key);
    const std::uint32_t i = held ? *held : table.reusable(block).value();
    WriteSlot& slot = table.slot(block, i);
    if (!held) table.reserve(block, i, hash(key));
    slot.reserved = true;
    const Log::Ticket ticket = run(*loop, add_to_log(key, value));
    table.publish(block, i, {key, value, ticket.version, layout::Kind::value}, ticket.lsn);
    space.settle(ticket.lsn);
    slot.reserved = false;
    return slot;
  }
  // What the first write of the key does before it is logged.
  void measure(std::string_view key) {
    while (const auto stretch = room.unmeasured(home_of(key))) {
      const Status s = run(*loop, buckets.measure(*stretch));
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
  }
  std::optional<Stored> stored(std::string_view key) {
    return find_in_buckets(geometry, ssd.contents(), key);
  }
  // Makes a bucket fail its checksum.
  void damage(std::uint64_t bucket) {
    layout::Bucket page(
        ByteSpan(ssd.contents()).subspan(geometry.bucket_at(bucket), geometry.bucket_size));
    page.clear(geometry.store_id());
    page.seal(bucket);
    page.set_reach(1);
  }

  const LoopPtr loop;
  const layout::SsdGeometry geometry;
  const layout::RegionGeometry blocks;
  block::PowerCutSsd ssd;
  block::FaultyDevice device;
  block::Buffer region;
  BlockTable table;
  Log log;
  FailStop stop;
  SlotQueue queue;
  LogSpace space;
  SlotRepair repair;
  Segments segments;
  BucketImages images;
  BucketRoom room;
  MoveCounts moves;
  BucketStore buckets;
  Merger merger;
  LargeValues values;
  Checkpointer checkpointer;
  WritePath writes;

 private:
  Task<Log::Ticket> add_to_log(std::string key, std::string value) {
    co_await log.room(static_cast<std::uint32_t>(key.size()),
                      static_cast<std::uint32_t>(value.size()));
    const Log::Ticket ticket = log.add(layout::LogKind::value, 0, key, as_bytes(value));
    space.admit(ticket.lsn);
    const Status s = co_await log.durable(ticket.batch);
    EXPECT_TRUE(s.ok()) << s.to_string();
    co_return ticket;
  }
};

}  // namespace scalio::server
