#include "block/queue_depth.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

namespace scalio::block {

std::optional<std::uint32_t> queue_depth(const std::string& path, const std::string& sysfs) {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return std::nullopt;
  const dev_t device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
  const std::string of = fmt::format("{}/dev/block/{}:{}", sysfs, major(device), minor(device));
  // A partition's queue is its disk's.
  for (const char* where : {"/queue/nr_requests", "/../queue/nr_requests"}) {
    std::uint32_t requests = 0;
    if (std::ifstream(of + where) >> requests && requests > 0) return requests;
  }
  return std::nullopt;
}

}  // namespace scalio::block
