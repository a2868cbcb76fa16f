#include "nvmf/kernel/nvmet_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "net/unique_fd.h"

namespace scalio::nvmf {

namespace fs = std::filesystem;

Status NvmetDirectory::available() const {
  std::error_code error;
  if (fs::is_directory(path_, error)) return {};
  return Status(
      Code::unavailable,
      fmt::format(
          "there is no {}: the kernel's NVMe target is not loaded (modprobe nvmet), or configfs "
          "is not mounted (mount -t configfs none {})",
          path_, fs::path(path_).parent_path().string()));
}

std::vector<std::string> NvmetDirectory::list(const std::string& directory) const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(fs::path(path_) / directory, error), end;
       !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

std::string NvmetDirectory::read(const std::string& file) const {
  std::ifstream in(fs::path(path_) / file);
  std::string line;
  std::getline(in, line);
  return line;
}

int NvmetDirectory::make(const std::string& directory) {
  return mkdir((path_ + "/" + directory).c_str(), 0755) == 0 ? 0 : errno;
}

int NvmetDirectory::write(const std::string& file, const std::string& value) {
  net::UniqueFd fd(open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  // configfs takes a value by one write, and says with it what it thinks of it.
  const ssize_t written = ::write(fd.get(), value.data(), value.size());
  if (written < 0) return errno;
  return static_cast<std::size_t>(written) == value.size() ? 0 : EIO;
}

int NvmetDirectory::link(const std::string& path, const std::string& to) {
  return symlink((path_ + "/" + to).c_str(), (path_ + "/" + path).c_str()) == 0 ? 0 : errno;
}

int NvmetDirectory::remove(const std::string& path) {
  return std::remove((path_ + "/" + path).c_str()) == 0 ? 0 : errno;
}

}  // namespace scalio::nvmf
