#include "base/allocate_file.h"

#include <fcntl.h>

#include <cerrno>

namespace scalio {

int allocate_file(int fd, std::uint64_t size) {
  constexpr int kMostTries = 1000;
  int error = EINTR;
  for (int i = 0; i < kMostTries && error == EINTR; ++i)
    error = posix_fallocate(fd, 0, static_cast<off_t>(size));
  return error;
}

}  // namespace scalio
