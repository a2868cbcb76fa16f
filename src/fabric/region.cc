#include "fabric/region.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/error_text.h"

namespace scalio::fabric {

namespace {
// Part of a page would not be given back, but set to zero.
constexpr std::uint64_t kLargestPage = 2 << 20;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<Mapping> map_memfd(int fd, std::size_t bytes, bool writable) {
  Result<Mapping> mapping =
      Mapping::create(fd, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, "a lane's region");
  // Block addresses are random: with small pages most accesses would miss the TLB. Only a hint.
  if (mapping.ok()) madvise(mapping->data(), bytes, MADV_HUGEPAGE);
  return mapping;
}
}  // namespace

Result<std::unique_ptr<Region>> Region::create(std::size_t bytes) {
  SCALIO_ASSERT(bytes > 0);
  const auto failed = [&](std::string_view what) {
    return Status(Code::unavailable, fmt::format("cannot make a region of {} bytes: {}: {}", bytes,
                                                 what, error_text(errno)));
  };
  net::UniqueFd fd(memfd_create("scalio-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return failed("memfd_create");
  // Its mode is all that keeps others from opening a descriptor of it again, for writing.
  if (fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return failed("fchmod");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return failed("ftruncate");
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return failed("sealing");
  Result<Mapping> mapping = map_memfd(fd.get(), bytes, true);
  if (!mapping.ok()) return mapping.status();
  if (Status s = mapping->populate("a lane's region"); !s.ok()) return s;
  return std::unique_ptr<Region>(new Region(std::move(fd), std::move(*mapping)));
}

Result<int> Region::read_only_fd() {
  if (!read_only_) {
    const std::string path = fmt::format("/proc/self/fd/{}", fd_.get());
    read_only_ = net::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!read_only_) {
      return Status(Code::unavailable, fmt::format("cannot open the region for reading: {}: {}",
                                                   path, error_text(errno)));
    }
  }
  return read_only_.get();
}

void Region::give_back() {
  if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                static_cast<off_t>(round_up(mapping_.size(), kLargestPage))) != 0) {
    spdlog::warn("a region of {} bytes cannot be given back, and stays until no client has it: {}",
                 mapping_.size(), error_text(errno));
  }
}

bool Region::may_reopen(uid_t user) { return user == 0 || user == geteuid(); }

Result<Mapping> map_region(int fd, std::size_t bytes, bool writable) {
  struct stat st {};
  const int seals = fcntl(fd, F_GET_SEALS);
  if (bytes == 0 || fstat(fd, &st) != 0 || static_cast<std::size_t>(st.st_size) != bytes ||
      seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return Status(
        Code::invalid,
        fmt::format("the server's region is not a memfd of {} bytes sealed against shrinking",
                    bytes));
  }
  Result<Mapping> mapping = map_memfd(fd, bytes, writable);
  // A client's forks have no part in its connections.
  if (mapping.ok() && madvise(mapping->data(), bytes, MADV_DONTFORK) != 0) {
    return Status(Code::unavailable, "madvise(MADV_DONTFORK): " + error_text(errno));
  }
  return mapping;
}

}  // namespace scalio::fabric
