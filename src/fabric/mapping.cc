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

}  // namespace scalio::fabric
