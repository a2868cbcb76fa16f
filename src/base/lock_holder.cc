#include "base/lock_holder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>

namespace scalio {

// /proc/locks, proc_locks(5): "N: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF". In a line of
// who waits for a lock "->" comes before the kind.
std::string lock_holder(int fd) {
  struct stat file {};
  if (fstat(fd, &file) != 0) return "";
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, kind, advisory, access, place;
    long pid = 0;
    if (!(fields >> number >> kind >> advisory >> access >> pid >> place)) continue;
    if (kind != "FLOCK" || place != wanted || pid <= 0) continue;
    std::string name;
    std::getline(std::ifstream(fmt::format("/proc/{}/comm", pid)), name);
    return name.empty() ? fmt::format("process {}", pid)
                        : fmt::format("process {} ({})", pid, name);
  }
  return "";
}

}  // namespace scalio
