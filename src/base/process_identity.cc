#include "base/process_identity.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace scalio {

namespace {
// 0 if there is no such process.
std::uint64_t start_of(std::uint64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  // The second field is the program's name in parentheses, which may contain anything.
  const std::size_t name_end = line.rfind(')');
  if (name_end == line.npos) return 0;
  std::istringstream rest(line.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) rest >> field;
  return rest ? std::strtoull(field.c_str(), nullptr, 10) : 0;
}

std::uint64_t pid_namespace() {
  struct stat st {};
  return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

// A pidfd, which is ready to read when its process has ended. (In <sys/pidfd.h> of glibc 2.36 the
// function is not declared for C++.)
class PidFd {
 public:
  explicit PidFd(std::uint64_t pid)
      : fd_(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))) {}
  ~PidFd() {
    if (fd_ >= 0) close(fd_);
  }
  PidFd(const PidFd&) = delete;
  PidFd& operator=(const PidFd&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};
}  // namespace

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

ProcessIdentity identity_of(std::uint64_t pid) {
  ProcessIdentity process;
  process.pid = pid;
  process.started = start_of(pid);
  process.pid_namespace = pid_namespace();
  boot_id().copy(process.boot.data(), process.boot.size());
  return process;
}

Result<ProcessIdentity> this_process() {
  const ProcessIdentity self = identity_of(static_cast<std::uint64_t>(getpid()));
  if (self.started != 0 && self.pid_namespace != 0 && self.boot[0] != 0) return self;
  return Status(
      Code::unavailable,
      "cannot learn from /proc who this process is: it is not mounted, or the process may open no "
      "more files (ulimit -n)");
}

Status wait_for_end(const ProcessIdentity& process, std::chrono::milliseconds patience) {
  if (process.pid == 0) return {};
  const Result<ProcessIdentity> self = this_process();
  if (!self.ok()) return self.status();
  if (process.boot != self->boot || process.pid_namespace != self->pid_namespace) return {};
  const auto unwatched = [&](int why) {
    return Status(Code::unavailable,
                  fmt::format("cannot watch process {}: {}", process.pid, std::strerror(why)));
  };
  const PidFd fd(process.pid);
  const int error = fd.get() < 0 ? errno : 0;
  // Nobody has this number, or a thread or a process group has: not a process, which it belonged
  // to.
  if (error == ESRCH || error == EINVAL || error == ENOENT) return {};
  // Asked after opening: whatever has this number now is what was opened, or that has ended.
  // Unknown (0), it may be the one that is meant.
  const std::uint64_t started = start_of(process.pid);
  if (started != 0 && started != process.started) return {};
  if (error != 0) return unwatched(error);
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ended{fd.get(), POLLIN, 0};
    const int n = poll(&ended, 1, static_cast<int>(std::max(left.count(), std::int64_t{0})));
    if (n > 0) return {};
    if (n == 0) return Status(Code::busy, fmt::format("process {} has not ended", process.pid));
    if (errno != EINTR) return unwatched(errno);
  }
}

}  // namespace scalio
