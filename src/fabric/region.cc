#include "fabric/region.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include "base/error_text.h"

namespace scalio::fabric {

namespace {
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<Mapping> map_memfd(int fd, std::size_t bytes) {
  Result<Mapping> mapping = Mapping::create(fd, bytes, PROT_READ | PROT_WRITE, "a lane's region");
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
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return failed("ftruncate");
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return failed("sealing");
  Result<Mapping> mapping = map_memfd(fd.get(), bytes);
  if (!mapping.ok()) return mapping.status();
  if (Status s = mapping->populate("a lane's region"); !s.ok()) return s;
  return std::unique_ptr<Region>(new Region(std::move(fd), std::move(*mapping)));
}

Result<Mapping> map_region(int fd, std::size_t bytes) {
  struct stat st {};
  const int seals = fcntl(fd, F_GET_SEALS);
  if (bytes == 0 || fstat(fd, &st) != 0 || static_cast<std::size_t>(st.st_size) != bytes ||
      seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return Status(
        Code::invalid,
        fmt::format("the server's region is not a memfd of {} bytes sealed against shrinking",
                    bytes));
  }
  Result<Mapping> mapping = map_memfd(fd, bytes);
  // A client's forks have no part in its connections.
  if (mapping.ok() && madvise(mapping->data(), bytes, MADV_DONTFORK) != 0) {
    return Status(Code::unavailable, "madvise(MADV_DONTFORK): " + error_text(errno));
  }
  return mapping;
}

}  // namespace scalio::fabric
