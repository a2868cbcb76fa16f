#include "sim/disk.h"

#include <algorithm>

#include "block/count.h"
#include "layout/bucket.h"

namespace scalio::sim {

using block::Io;

namespace {
constexpr Nanos kRead = 80 * kMicrosecond;
constexpr Nanos kWrite = 20 * kMicrosecond;
constexpr Nanos kSectors = 5 * kMicrosecond;   // between two sectors of one operation
constexpr Nanos kReport = 10 * kMicrosecond;   // from the last sector's write to its report
constexpr Nanos kBuckets = 40 * kMicrosecond;  // and of a read of several buckets
constexpr std::uint64_t kTornPerMillion = 150'000;
constexpr std::uint64_t kApartPerMillion = 500'000;
constexpr std::uint64_t kErrorPerMillion = 200;
constexpr std::uint64_t kMisreadPerMillion = 2'000;
constexpr std::uint64_t kReplacedPerMillion = 2'000;
}  // namespace

ByteView Disk::older_sector(std::uint64_t number) const {
  auto it = open_.find(number);
  return it == open_.end() ? sector(number) : ByteView(it->second.front().bytes);
}

const Disk::Buckets* Disk::buckets_at(std::uint64_t offset) const {
  for (const Buckets& b : buckets_) {
    if (b.begin <= offset && offset < b.end) return &b;
  }
  return nullptr;
}

void Disk::store(std::uint64_t number, ByteView bytes) {
  for (DiskWatcher* watcher : watchers_) watcher->on_store(number);
  const ByteView now = sector(number);
  std::deque<Version>& versions = open_[number];
  if (versions.empty()) versions.push_back({0, Bytes(now.begin(), now.end())});
  versions.push_back({++stores_, Bytes(bytes.begin(), bytes.end())});
  std::copy(bytes.begin(), bytes.end(),
            contents_.begin() + static_cast<std::ptrdiff_t>(number * kSector));
}

void Disk::durable(std::uint64_t number, std::uint64_t point) {
  auto it = open_.find(number);
  if (it == open_.end()) return;
  std::deque<Version>& versions = it->second;
  const std::size_t before = versions.size();
  while (versions.size() > 1 && versions[1].stored <= point) versions.pop_front();
  if (versions.size() < before) {
    for (DiskWatcher* watcher : watchers_) watcher->on_durable(number, versions.front().bytes);
  }
  if (versions.size() == 1) open_.erase(it);
}

void Disk::all_durable(std::uint64_t point) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, versions] : open_) numbers.push_back(number);
  for (std::uint64_t number : numbers) durable(number, point);
}

void Disk::cut_power() {
  for (const auto& [number, versions] : open_) {
    const Bytes& left = versions[world_.random().below(versions.size())].bytes;
    std::copy(left.begin(), left.end(),
              contents_.begin() + static_cast<std::ptrdiff_t>(number * kSector));
    for (DiskWatcher* watcher : watchers_) watcher->on_durable(number, left);
  }
  open_.clear();
}

void SimDevice::start(Io& io) {
  World& world = disk_.world();
  auto operation = std::make_shared<Operation>();
  operation->io = &io;
  operation->flush_point = disk_.stores();
  for (std::uint64_t at = io.offset; at < io.offset + io.size; at += Disk::kSector) {
    operation->sectors.push_back(at / Disk::kSector);
  }
  if (io.kind == Io::Kind::read) {
    operation->fails = world.strikes(Fault::read_error, kErrorPerMillion);
  } else {
    operation->fails = world.strikes(Fault::write_error, kErrorPerMillion);
  }
  // In order, backwards, or in any order.
  auto& sectors = operation->sectors;
  if (sectors.size() > 1 && world.random().coin()) std::reverse(sectors.begin(), sectors.end());
  if (sectors.size() > 1 && world.random().chance(kTornPerMillion)) {
    for (std::size_t i = sectors.size() - 1; i > 0; --i) {
      std::swap(sectors[i], sectors[world.random().below(i + 1)]);
    }
  }
  running_.push_back(operation);
  // The device goes on whatever becomes of the process, until abandon().
  world.after(world.delay(io.kind == Io::Kind::read ? kRead : kWrite),
              [this, operation] { go_on(operation); });
}

void SimDevice::transfer(Operation& operation) {
  const std::uint64_t number = operation.sectors.front();
  operation.sectors.erase(operation.sectors.begin());
  Io& io = *operation.io;
  std::byte* data = io.data + (number * Disk::kSector - io.offset);
  if (io.kind == Io::Kind::write) {
    disk_.store(number, ByteView(data, Disk::kSector));
    return;
  }
  const ByteView from = read_sector(number);
  std::copy(from.begin(), from.end(), data);
}

// What a read finds in a sector.
ByteView SimDevice::read_sector(std::uint64_t number) {
  World& world = disk_.world();
  if (replaceable_ && stranger_ == nullptr &&
      world.strikes(Fault::replaced_ssd, kReplacedPerMillion)) {
    stranger_ = &disk_.strangers()[world.random().below(disk_.strangers().size())];
  }
  if (stranger_ != nullptr)
    return ByteView(*stranger_).subspan(number * Disk::kSector, Disk::kSector);
  const std::uint64_t at = number * Disk::kSector;
  const Disk::Buckets* const buckets = disk_.buckets_at(at);
  if (buckets == nullptr) return disk_.sector(number);
  // Each bucket of a read of several goes astray by itself.
  const std::uint64_t bucket = at - (at - buckets->begin) % buckets->size;
  if (world.strikes(Fault::misdirected_read, kMisreadPerMillion)) {
    // The same part of another bucket. If that was never written, nothing tells it from this one:
    // it is empty by definition, and so is what is read.
    const std::uint64_t other =
        world.random().below((buckets->end - buckets->begin) / buckets->size);
    const std::uint64_t begin = buckets->begin + other * buckets->size;
    const ByteView header = disk_.sector(begin / Disk::kSector);
    const bool written = std::any_of(header.begin(), header.begin() + layout::kBucketHeader,
                                     [](std::byte b) { return b != std::byte{0}; });
    if (written && begin != bucket) return disk_.sector((begin + at - bucket) / Disk::kSector);
    // Not the first: that alone may be a whole bucket as it was, which nothing tells from the right
    // one.
  } else if (at != bucket && world.strikes(Fault::stale_read, kMisreadPerMillion)) {
    return disk_.older_sector(number);
  }
  return disk_.sector(number);
}

void SimDevice::go_on(const std::shared_ptr<Operation>& operation) {
  if (abandoned_) return;
  World& world = disk_.world();
  // An operation that fails stops anywhere.
  if (operation->fails && (operation->sectors.empty() || world.random().coin()))
    return finish(operation);
  const Io& io = *operation->io;
  const Disk::Buckets* const buckets = disk_.buckets_at(io.offset);
  const bool several = io.kind == Io::Kind::read && buckets != nullptr && io.size > buckets->size;
  while (!operation->sectors.empty()) {
    transfer(*operation);
    if (!operation->sectors.empty() &&
        world.random().chance(several ? kApartPerMillion : kTornPerMillion)) {
      world.after(world.delay(several ? kBuckets : kSectors),
                  [this, operation] { go_on(operation); });
      return;
    }
  }
  // Others may read what was written before the writer hears of it.
  if (io.kind == Io::Kind::write && !operation->reported && world.random().coin()) {
    operation->reported = true;
    world.after(world.delay(kReport), [this, operation] { go_on(operation); });
    return;
  }
  finish(operation);
}

void SimDevice::note(const Io& io, bool failed) {
  if (!disk_.world().traces()) return;
  const Disk::Buckets* const buckets = disk_.buckets_at(io.offset);
  const std::uint64_t from = buckets == nullptr ? 0 : buckets->begin;
  disk_.world().note("{} {} {}{}{}", process_.name(), name(),
                     io.kind == Io::Kind::read    ? "read"
                     : io.kind == Io::Kind::write ? "written"
                                                  : "flushed",
                     io.kind == Io::Kind::flush
                         ? ""
                         : fmt::format(", {}, {} to {}", buckets == nullptr ? "log" : "bucket area",
                                       io.offset - from, io.offset + io.size - from),
                     failed ? ": failed" : "");
}

void SimDevice::finish(const std::shared_ptr<Operation>& operation) {
  Io& io = *operation->io;
  Status status;
  if (operation->fails) {
    status =
        Status(Code::io_error, fmt::format("{} of {} bytes at offset {} of {}: simulated error",
                                           io.kind == Io::Kind::read    ? "read"
                                           : io.kind == Io::Kind::write ? "write"
                                                                        : "flush",
                                           io.size, io.offset, name()));
  } else if (io.kind == Io::Kind::flush) {
    disk_.all_durable(operation->flush_point);
  } else if (io.kind == Io::Kind::write && io.durability == block::Durability::stable) {
    for (std::uint64_t at = io.offset; at < io.offset + io.size; at += Disk::kSector) {
      disk_.durable(at / Disk::kSector, disk_.stores());
    }
  }
  note(io, operation->fails);
  std::erase(running_, operation);
  block::count(counters_, io, status);
  if (process_.alive()) io.complete(process_, std::move(status));
}

void SimDevice::abandon() {
  abandoned_ = true;
  for (const auto& operation : running_) {
    if (operation->io->kind != Io::Kind::write) continue;
    for (std::size_t left = disk_.world().random().below(operation->sectors.size() + 1); left > 0;
         --left) {
      transfer(*operation);
    }
  }
}

Task<Result<std::unique_ptr<block::BlockDevice>>> open_disk(SimProcess& process, Disk& disk) {
  co_return std::unique_ptr<block::BlockDevice>(std::make_unique<SimDevice>(process, disk, true));
}

}  // namespace scalio::sim
