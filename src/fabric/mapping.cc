#include "fabric/mapping.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace scalio::fabric {

Result<Mapping> Mapping::create(int fd, std::size_t bytes, int protection, std::string_view what) {
  void* p = mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    return Status(Code::unavailable,
                  fmt::format("cannot map {} bytes of {}: {}", bytes, what, std::strerror(errno)));
  }
  Mapping mapping;
  mapping.span_ = {static_cast<std::byte*>(p), bytes};
  return mapping;
}

Status Mapping::populate(std::string_view what) const {
#ifdef MADV_POPULATE_WRITE
  if (madvise(span_.data(), span_.size(), MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
    return Status();
  // EFAULT: the store would have ended in SIGBUS.
  return Status(Code::io_error, fmt::format("{}: no room for {} bytes: {}", what, span_.size(),
                                            std::strerror(errno == EFAULT ? ENOSPC : errno)));
#else
  return Status();
#endif
}

}  // namespace scalio::fabric
