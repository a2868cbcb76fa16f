#include "server/format.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "block/buffer.h"
#include "fabric/epoch.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "layout/superblock.h"
#include "server/log.h"
#include "server/store_files.h"

namespace scalio::server {

namespace fs = std::filesystem;
using layout::kSuperblockSize;
using layout::SsdGeometry;

namespace {
constexpr uint64_t kLargestDefaultLog = 1 << 30;
constexpr uint64_t kZeroChunk = 4 << 20;
// Where something that must not be overwritten shows: in the first and last bytes, or in one of so many
// samples between.
constexpr uint64_t kEdge = 1 << 20;
constexpr uint64_t kSamples = 64;

Status system_error(const std::string& what) {
  return Status(Code::io_error, fmt::format("{}: {}", what, std::strerror(errno)));
}

template <class T>
Status randomize(T& value) {
  if (getrandom(&value, sizeof value, 0) != sizeof value) return system_error("getrandom");
  return Status();
}

Status create_file(const std::string& path, uint64_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(path);
  Status s;
  // Old contents are dropped, and the room is there when it is needed.
  if (ftruncate(fd, 0) != 0 || (errno = posix_fallocate(fd, 0, static_cast<off_t>(size))) != 0) {
    s = Status(Code::io_error, fmt::format("making {} of {} bytes: {}", path, size, std::strerror(errno)));
  }
  ::close(fd);
  return s;
}

Task<Result<bool>> is_blank(block::BlockDevice& device) {
  block::Buffer buffer(kEdge);
  const uint64_t size = device.size(), step = std::max<uint64_t>(size / kSamples / 4096 * 4096, 4096);
  for (uint64_t at = 0; at < size; at += step) {
    const uint64_t length = at == 0 ? kEdge : 4096;
    ByteSpan bytes = buffer.first(std::min(length, (size - at) / device.block_size() * device.block_size()));
    Status s = co_await device.read(at, bytes);
    if (!s.ok()) co_return s;
    if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; }))
      co_return false;
  }
  const uint64_t tail = std::min(kEdge, size) / device.block_size() * device.block_size();
  Status s = co_await device.read(size - tail, buffer.first(tail));
  if (!s.ok()) co_return s;
  ByteSpan last = buffer.first(tail);
  co_return std::all_of(last.begin(), last.end(), [](std::byte b) { return b == std::byte{0}; });
}

// The superblock comes last: until it is there, there is no store.
// A file is written over wholly: filesystems make the first write to each part of one much dearer than the
// later ones. On a device buckets need no formatting: one without the new store's identity is empty.
Task<Status> write_ssd(block::BlockDevice& device, const SsdGeometry& g, bool whole,
                       const std::function<void(double)>& progress) {
  const uint64_t copies[] = {0, (device.size() - kSuperblockSize) / kSuperblockSize * kSuperblockSize};
  block::Buffer superblock(kSuperblockSize), chunk(kZeroChunk);
  for (uint64_t at : copies) {
    Status s = co_await device.write(at, superblock.span(), block::Durability::cached);
    if (!s.ok()) co_return s;
  }
  // The log is always written over, so that nothing in it looks like a batch.
  const uint64_t end = whole ? copies[1] : g.bucket_offset;
  for (uint64_t at = g.log_offset; at < end; at += kZeroChunk) {
    ByteSpan bytes = chunk.first(std::min(kZeroChunk, end - at));
    Status s = co_await device.write(at, bytes, block::Durability::cached);
    if (!s.ok()) co_return s;
    progress(static_cast<double>(at) / static_cast<double>(end));
  }
  layout::BatchBuilder first(g.log_id());
  first.begin(chunk.span(), 0);
  Status s = co_await device.write(g.log_offset, first.finish(0, 0, g.block_size), block::Durability::cached);
  if (s.ok()) s = co_await device.flush();
  layout::encode_superblock(superblock.span(), g);
  for (uint64_t at : copies) {
    if (s.ok()) s = co_await device.write(at, superblock.span(), block::Durability::cached);
  }
  if (s.ok()) s = co_await device.flush();
  co_return s;
}

// Makes the directory, empty of any store.
Status prepare_directory(EventLoop& loop, const FormatOptions& o) {
  std::error_code error;
  fs::create_directories(o.dir, error);
  if (error) return Status(Code::invalid, fmt::format("{}: {}", o.dir, error.message()));
  if (fs::is_empty(o.dir, error)) return Status();
  if (!o.force) {
    return Status(Code::invalid, fmt::format("{} is not empty; --force overwrites the store in it", o.dir));
  }
  Result<unsigned> old = count_ssds(o.dir);
  for (unsigned i = 0; old.ok() && i < *old; ++i) {
    // A running server holds the device's lock.
    if (auto held = block::UringDevice::open(loop, ssd_path(o.dir, i), block::Access::exclusive);
        held.code() == Code::busy) {
      return held.status();
    }
    fs::remove(ssd_path(o.dir, i), error);
    if (error) return Status(Code::io_error, fmt::format("{}: {}", ssd_path(o.dir, i), error.message()));
  }
  // Rule 9, for clients of the old store's last server. The file stays: they look at it.
  auto epoch = fabric::EpochFile::open(epoch_path(o.dir));
  if (!epoch.ok()) return epoch.status();
  (*epoch)->advance();
  return Status();
}
}  // namespace

Result<FormatSummary> format_store(const FormatOptions& o, std::function<void(double)> progress) {
  const bool devices = !o.ssd_paths.empty();
  const auto shards = static_cast<uint32_t>(devices ? o.ssd_paths.size() : o.ssds);
  if (shards == 0) return Status(Code::invalid, "a store needs at least one SSD");
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();

  SsdGeometry base;
  base.shards = shards;
  base.bucket_size = o.bucket_size;
  base.inline_limit = o.inline_limit;
  for (Status s : {randomize(base.uuid), randomize(base.hash_seed), randomize(base.log_secret)}) {
    if (!s.ok()) return s;
  }
  base.uuid[6] = static_cast<uint8_t>((base.uuid[6] & 0x0f) | 0x40);  // RFC 4122, version 4
  base.uuid[8] = static_cast<uint8_t>((base.uuid[8] & 0x3f) | 0x80);

  // What can be wrong with the sizes is found before anything is touched.
  const auto plan = [&](uint32_t shard, uint64_t size, uint32_t block_size) -> Result<SsdGeometry> {
    SsdGeometry g = base;
    g.shard = shard;
    g.block_size = std::max(base.block_size, block_size);
    uint64_t log = o.log_size;
    if (log == 0) log = std::min(kLargestDefaultLog, size / 8);
    log = log / kSuperblockSize * kSuperblockSize;
    g.log_size = log;
    const uint64_t least = Log::min_size(g);
    if (o.log_size == 0) log = std::max(log, round_up(least, kSuperblockSize));
    if (log < least) {
      return Status(Code::invalid,
                    fmt::format("a log of {} bytes is too small for buckets of {}: {} at least", log,
                                g.bucket_size, least));
    }
    return layout::plan_ssd(g, size, log);
  };
  if (!devices) {
    if (auto g = plan(0, o.ssd_size, 512); !g.ok()) return g.status();
  }

  if (Status s = prepare_directory(**loop, o); !s.ok()) return s;
  FormatSummary summary;
  summary.uuid = layout::to_string(base.uuid);
  std::vector<std::unique_ptr<block::UringDevice>> opened;
  std::vector<SsdGeometry> geometries;
  for (uint32_t i = 0; i < shards; ++i) {
    std::string path = ssd_path(o.dir, i);
    if (devices) {
      std::error_code error;
      path = fs::canonical(o.ssd_paths[i], error).string();
      if (error) return Status(Code::invalid, fmt::format("{}: {}", o.ssd_paths[i], error.message()));
    } else if (Status s = create_file(path, o.ssd_size); !s.ok()) {
      return s;
    }
    auto device = block::UringDevice::open(**loop, path, block::Access::exclusive);
    if (!device.ok()) return device.status();
    if (devices && !o.force) {
      Result<bool> blank = run_to_end(**loop, is_blank(**device));
      if (!blank.ok()) return blank.status();
      if (!*blank)
        return Status(Code::invalid, fmt::format("{} is not empty; --force overwrites what is on it", path));
    }
    auto g = plan(i, (*device)->size(), (*device)->block_size());
    if (!g.ok()) return Status(g.code(), fmt::format("{}: {}", path, g.status().message()));
    summary.paths.push_back(path);
    summary.buckets += g->buckets;
    summary.log_bytes += g->log_size;
    summary.record_capacity_bytes += g->buckets * (g->bucket_size - layout::kBucketHeader);
    geometries.push_back(*g);
    opened.push_back(std::move(*device));
  }
  for (uint32_t i = 0; i < shards; ++i) {
    const std::function<void(double)> part = [&](double done) { progress((i + done) / shards); };
    Status s = run_to_end(**loop, write_ssd(*opened[i], geometries[i], !devices, part));
    if (!s.ok()) return s;
    if (devices) {
      std::error_code error;
      fs::create_symlink(summary.paths[i], ssd_path(o.dir, i), error);
      if (error) return Status(Code::io_error, fmt::format("{}: {}", ssd_path(o.dir, i), error.message()));
    }
  }
  progress(1);
  return summary;
}

}  // namespace scalio::server
