// Disk: a simulated SSD, and SimDevice: one process's handle on it.
//
// Every sector has the bytes that reads find and, until they are durable, those that it had before:
// a power cut leaves any of these, for each sector by itself. Writes reach the sectors one by one,
// and reads look at them one by one, at different moments.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "sim/world.h"

namespace scalio::sim {

// Told what happens to a disk's sectors.
class DiskWatcher {
 public:
  virtual void on_store(std::uint64_t sector) = 0;  // is about to get other bytes
  virtual void on_durable(std::uint64_t sector, ByteView bytes) = 0;

 protected:
  ~DiskWatcher() = default;
};

class Disk {
 public:
  static constexpr std::uint32_t kSector = 512;

  // Where a slice has its buckets.
  struct Buckets {
    std::uint64_t begin, end;
    std::uint32_t size;  // of one
  };
  // Reads of what is no bucket are never misdirected or stale: what a log has lost that way is
  // lost. And only to buckets of the same slice: other bytes look like a bucket that was never
  // written, which nothing tells from the right one.
  Disk(World& world, std::string name, Bytes contents, std::vector<Buckets> buckets = {})
      : world_(world),
        name_(std::move(name)),
        contents_(std::move(contents)),
        buckets_(std::move(buckets)) {
    for (const Buckets& b : buckets_) SCALIO_ASSERT(b.begin <= b.end && b.end <= contents_.size());
  }

  // `watcher` must live as long as the disk is used.
  void watch(DiskWatcher& watcher) { watchers_.push_back(&watcher); }
  // What a client may find in its place, of the same size.
  void add_stranger(Bytes contents) { strangers_.push_back(std::move(contents)); }
  const std::vector<Bytes>& strangers() const { return strangers_; }

  World& world() { return world_; }
  const std::string& name() const { return name_; }
  std::uint64_t size() const { return contents_.size(); }
  // What a read of everything would find now.
  const Bytes& contents() const { return contents_; }
  // The buckets that `offset` is among; nothing if it is elsewhere.
  const Buckets* buckets_at(std::uint64_t offset) const;

  ByteView sector(std::uint64_t number) const {
    return ByteView(contents_).subspan(number * kSector, kSector);
  }
  // Another state that the sector has had and may go back to; its present one if there is none.
  ByteView older_sector(std::uint64_t number) const;
  void store(std::uint64_t number, ByteView bytes);
  // The point that a later durable() refers to.
  std::uint64_t stores() const { return stores_; }
  // Whether a power cut leaves in this sector what reads find there.
  bool is_durable(std::uint64_t number) const { return !open_.contains(number); }
  // What was in this sector (or in all) when stores() was `point` is durable.
  void durable(std::uint64_t number, std::uint64_t point);
  void all_durable(std::uint64_t point);
  // Writes that were not durable are lost or stay, sector by sector.
  void cut_power();

 private:
  struct Version {
    std::uint64_t stored;  // when, in stores()
    Bytes bytes;
  };
  World& world_;
  const std::string name_;
  Bytes contents_;
  const std::vector<Buckets> buckets_;
  std::vector<Bytes> strangers_;
  std::vector<DiskWatcher*> watchers_;
  std::uint64_t stores_ = 0;
  std::map<std::uint64_t, std::deque<Version>> open_;  // sectors; the first version is durable
};

class SimDevice final : public block::BlockDevice {
 public:
  // `replaceable`: another disk may take the place of this one, for this handle and as long as it
  // is open.
  SimDevice(SimProcess& process, Disk& disk, bool replaceable = false)
      : process_(process), disk_(disk), replaceable_(replaceable) {}

  const std::string& name() const override { return disk_.name(); }
  std::uint64_t size() const override { return disk_.size(); }
  std::uint32_t block_size() const override { return Disk::kSector; }
  const block::Counters& counters() const override { return counters_; }

  // The process has died: of each write in flight some sectors still arrive, now; nothing later.
  void abandon();

 protected:
  void start(block::Io& io) override;

 private:
  struct Operation {
    block::Io* io;
    std::vector<std::uint64_t> sectors;  // left to do, in the order in which they are done
    bool fails = false;
    bool reported = false;  // a write: its report is on its way
    std::uint64_t flush_point = 0;
  };
  void go_on(const std::shared_ptr<Operation>& operation);
  void transfer(Operation& operation);
  ByteView read_sector(std::uint64_t number);
  void note(const block::Io& io, bool failed);
  void finish(const std::shared_ptr<Operation>& operation);

  SimProcess& process_;
  Disk& disk_;
  const bool replaceable_;
  const Bytes* stranger_ = nullptr;  // what is there instead
  block::Counters counters_;
  std::vector<std::shared_ptr<Operation>> running_;
  bool abandoned_ = false;
};

// The disk, opened by a process, as a task.
Task<Result<std::unique_ptr<block::BlockDevice>>> open_disk(SimProcess& process, Disk& disk);

}  // namespace scalio::sim
