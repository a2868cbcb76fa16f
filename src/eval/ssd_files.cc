#include "eval/ssd_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "net/unique_fd.h"

namespace scalio::eval {
namespace {

// An error's number, or 0.
int write_zeros(int fd, std::uint64_t bytes) {
  const Bytes zeros(1 << 20);
  while (bytes > 0) {
    const ssize_t n = ::write(fd, zeros.data(), std::min<std::uint64_t>(bytes, zeros.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes -= static_cast<std::uint64_t>(n);
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

Status make_ssd_file(const std::string& path, std::uint64_t bytes) {
  if (::access(path.c_str(), F_OK) == 0) return Status();
  if (bytes == 0) {
    return Status(Code::invalid, fmt::format("there is no {}; --ssd-size SIZE makes it", path));
  }
  const net::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  int error = fd.get() < 0 ? errno : 0;
  if (error == 0) {
    error = write_zeros(fd.get(), bytes);
    if (error != 0) ::unlink(path.c_str());
  }
  if (error == 0) return Status();
  return Status(Code::io_error,
                fmt::format("making {} of {} bytes: {}", path, bytes, std::strerror(error)));
}

}  // namespace scalio::eval
