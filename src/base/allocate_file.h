// Gives a file room on its file system.
#pragma once

#include <cstdint>

namespace scalio {

// As posix_fallocate, from the file's begin on: 0, or an error's number. A signal does not end it,
// nor what the kernel does for io_uring in its place: tmpfs breaks off for both. EINTR only if that
// happens again and again.
int allocate_file(int fd, std::uint64_t size);

}  // namespace scalio
