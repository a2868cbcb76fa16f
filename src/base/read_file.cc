#include "base/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace scalio {

namespace {

Status cannot_open(const std::string& path) {
  return {errno == ENOENT ? Code::not_found : Code::io_error,
          fmt::format("cannot read {}: {}", path, std::strerror(errno))};
}

// The rest of what `file` has, which is closed.
Result<std::string> read_all(std::FILE* opened, const std::string& path, std::size_t most) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(opened, &std::fclose);
  // Neither seeks nor asks for the size: a pipe has none.
  std::string text(most + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return {errno == EISDIR ? Code::invalid : Code::io_error,
            fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  if (text.size() > most) {
    return {Code::invalid, fmt::format("{} has more than the {} bytes that are taken", path, most)};
  }
  return text;
}

// Of a regular file that `refused` bits of the mode are not set of.
Result<std::string> read_regular(const std::string& path, std::size_t most, mode_t refused) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return cannot_open(path);
  struct stat st {};
  const bool regular = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  if (!regular || (st.st_mode & refused) != 0) {
    ::close(fd);
    return {Code::invalid, regular ? fmt::format("everybody may use {}: run chmod o= on it", path)
                                   : fmt::format("{} is not a regular file", path)};
  }
  std::FILE* const file = ::fdopen(fd, "r");
  if (file != nullptr) return read_all(file, path, most);
  const Status status = cannot_open(path);
  ::close(fd);
  return status;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t most) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  return file != nullptr ? read_all(file, path, most) : cannot_open(path);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t most) {
  return read_regular(path, most, 0);
}

Result<std::string> read_private_file(const std::string& path, std::size_t most) {
  return read_regular(path, most, S_IRWXO);
}

}  // namespace scalio
