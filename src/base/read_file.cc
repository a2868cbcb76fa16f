#include "base/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace scalio {

namespace {

Status cannot_open(const std::string& path) {
  return {errno == ENOENT ? Code::not_found : Code::io_error,
          fmt::format("cannot read {}: {}", path, std::strerror(errno))};
}

// Of a pipe: whoever writes to it may have to ask elsewhere first.
constexpr std::chrono::seconds kPatience{30};

class FileToRead {
 public:
  explicit FileToRead(int fd) : fd_(fd) {}
  ~FileToRead() { ::close(fd_); }
  FileToRead(const FileToRead&) = delete;
  FileToRead& operator=(const FileToRead&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Waits until there is something to be read, or the end. False: for too long.
bool wait_for_more(int fd, std::chrono::steady_clock::time_point bound) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      bound - std::chrono::steady_clock::now());
  pollfd more{fd, POLLIN, 0};
  return left.count() > 0 && ::poll(&more, 1, static_cast<int>(left.count())) != 0;
}

// What the file, which was opened without waiting, has.
Result<std::string> read_all(const FileToRead& file, const std::string& path, std::size_t most) {
  const auto bound = std::chrono::steady_clock::now() + kPatience;
  // Neither seeks nor asks for the size: a pipe has none.
  std::string text(most + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.fd(), text.data() + size, text.size() - size);
    if (n == 0) break;
    if (n > 0) {
      size += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      if (!wait_for_more(file.fd(), bound)) {
        return {Code::io_error, fmt::format("cannot read {}: its end has not come within {} s",
                                            path, kPatience.count())};
      }
    } else if (errno != EINTR) {
      return {errno == EISDIR ? Code::invalid : Code::io_error,
              fmt::format("cannot read {}: {}", path, std::strerror(errno))};
    }
  }
  struct stat st {};
  if (size == 0 && ::fstat(file.fd(), &st) == 0 && S_ISFIFO(st.st_mode))
    return {Code::invalid,
            fmt::format("{} is a pipe that has nothing and that nobody writes to", path)};
  if (size > most) {
    return {Code::invalid, fmt::format("{} has more than the {} bytes that are taken", path, most)};
  }
  text.resize(size);
  return text;
}

// Without waiting for whoever would write to a pipe.
int open_to_read(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

// Of a regular file that `refused` bits of the mode are not set of.
Result<std::string> read_regular(const std::string& path, std::size_t most, mode_t refused) {
  const int fd = open_to_read(path);
  if (fd < 0) return cannot_open(path);
  const FileToRead file(fd);
  struct stat st {};
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    return {Code::invalid, fmt::format("{} is not a regular file", path)};
  if ((st.st_mode & refused) != 0)
    return {Code::invalid, fmt::format("everybody may use {}: run chmod o= on it", path)};
  return read_all(file, path, most);
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const int fd = open_to_read(path);
  if (fd < 0) return cannot_open(path);
  return read_all(FileToRead(fd), path, most);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t most) {
  return read_regular(path, most, 0);
}

Result<std::string> read_private_file(const std::string& path, std::size_t most) {
  return read_regular(path, most, S_IRWXO);
}

}  // namespace scalio
