#include "region_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "check.h"
#include "fabric/region.h"
#include "fabric/region_access.h"

namespace scalio::bench {

namespace {

// The server's only memfd.
fabric::Mapping map_region_of(const Process& server) {
  for (const auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", server.pid()))) {
    std::error_code gone;
    if (!std::filesystem::read_symlink(entry.path(), gone).string().starts_with("/memfd:"))
      continue;
    const net::UniqueFd fd(open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    struct stat st;
    if (fd.get() < 0 || fstat(fd.get(), &st) != 0) break;
    return expect(fabric::map_region(fd.get(), static_cast<std::size_t>(st.st_size)));
  }
  fail("the server's region cannot be mapped");
}

}  // namespace

RegionCopy::RegionCopy(const Process& server) : region_(map_region_of(server)) {
  // So that no copy that is timed is the first access to its page.
  for (std::uint64_t block = 0; block < region_.size() / kBlock; ++block) copy(block);
}

void RegionCopy::copy(std::uint64_t block) {
  fabric::copy_from_region(into_, region_.data() + block * kBlock, kBlock);
  fabric::acquire_fence();
}

}  // namespace scalio::bench
