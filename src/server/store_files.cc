#include "server/store_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "block/superblock.h"
#include "layout/superblock.h"

namespace scalio::server {

namespace fs = std::filesystem;
using layout::SsdGeometry;

std::string ssd_path(const std::string& dir, unsigned index) { return fmt::format("{}/ssd-{}", dir, index); }
std::string epoch_path(const std::string& dir) { return dir + "/epoch"; }

Result<std::vector<unsigned>> list_ssds(const std::string& dir) {
  std::vector<unsigned> found;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    unsigned index = 0;
    if (!name.starts_with("ssd-")) continue;
    std::from_chars(name.data() + 4, name.data() + name.size(), index);
    if (ssd_path(dir, index) == fmt::format("{}/{}", dir, name)) found.push_back(index);
  }
  if (error) return Status(Code::invalid, fmt::format("{}: {}", dir, error.message()));
  std::sort(found.begin(), found.end());
  return found;
}

Result<unsigned> count_ssds(const std::string& dir) {
  Result<std::vector<unsigned>> found = list_ssds(dir);
  if (!found.ok()) return found.status();
  if (found->empty())
    return Status(Code::invalid, fmt::format("{} has no store (no {}); make one with `scalio format`", dir,
                                             ssd_path(dir, 0)));
  auto loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  // Any intact superblock tells how many there are.
  unsigned n = found->back() + 1;
  for (unsigned i : *found) {
    auto device = block::UringDevice::open(**loop, ssd_path(dir, i), block::Access::read_only);
    if (!device.ok()) continue;
    Result<SsdGeometry> g = run_to_end(**loop, block::read_superblock(**device));
    if (!g.ok()) continue;
    n = g->shards;
    break;
  }
  for (unsigned i = 0; i < n; ++i) {
    if (std::find(found->begin(), found->end(), i) != found->end()) continue;
    return Status(Code::invalid, fmt::format("{} is missing (the store has {} SSDs)", ssd_path(dir, i), n));
  }
  // Any more do not belong there; open_ssds() says so.
  return static_cast<unsigned>(found->size());
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
