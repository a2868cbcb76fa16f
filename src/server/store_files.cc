#include "server/store_files.h"

#include <fmt/format.h>

#include <filesystem>

#include "block/superblock.h"
#include "layout/superblock.h"

namespace scalio::server {

namespace fs = std::filesystem;
using layout::SsdGeometry;

std::string ssd_path(const std::string& dir, unsigned index) { return fmt::format("{}/ssd-{}", dir, index); }
std::string epoch_path(const std::string& dir) { return dir + "/epoch"; }

Result<unsigned> count_ssds(const std::string& dir) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) return Status(Code::invalid, fmt::format("{} is not a directory", dir));
  unsigned n = 0;
  while (fs::exists(fs::symlink_status(ssd_path(dir, n), error))) ++n;
  if (n == 0)
    return Status(Code::invalid, fmt::format("{} has no store (no {}); make one with `scalio format`", dir,
                                             ssd_path(dir, 0)));
  return n;
}

Result<std::vector<OpenSsd>> open_ssds(const std::string& dir, const std::vector<EventLoop*>& loops) {
  Result<unsigned> count = count_ssds(dir);
  if (!count.ok()) return count.status();
  std::vector<OpenSsd> ssds;
  for (unsigned i = 0; i < *count; ++i) {
    EventLoop& loop = *loops[std::min<size_t>(i, loops.size() - 1)];
    std::error_code error;
    const fs::path path = fs::canonical(ssd_path(dir, i), error);
    if (error) return Status(Code::invalid, fmt::format("{}: {}", ssd_path(dir, i), error.message()));
    Result<std::unique_ptr<block::UringDevice>> device =
        block::UringDevice::open(loop, path.string(), block::Access::exclusive);
    if (!device.ok()) return device.status();
    Result<SsdGeometry> g = run_to_end(loop, block::read_superblock(**device));
    if (!g.ok()) return g.status();
    if (g->shard != i || g->shards != *count) {
      return Status(Code::invalid,
                    fmt::format("{} is SSD {} of {} of its store, but stands as {} of {} in {}",
                                path.string(), g->shard, g->shards, i, *count, dir));
    }
    if (i > 0 && g->uuid != ssds[0].geometry.uuid) {
      return Status(Code::invalid, fmt::format("{} belongs to store {}, {} to store {}", path.string(),
                                               layout::to_string(g->uuid), ssds[0].path,
                                               layout::to_string(ssds[0].geometry.uuid)));
    }
    ssds.push_back({std::move(*device), *g, path.string()});
  }
  return ssds;
}

}  // namespace scalio::server
