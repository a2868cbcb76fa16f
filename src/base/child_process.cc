#include "base/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace scalio {
namespace {

constexpr int kCannotStart = 127;  // as a shell says it
constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;
// A killed process can take long only if the kernel does, in an I/O that does not end.
constexpr std::chrono::minutes kKillBound{1};

// In the child, which has the parent's memory until it is another program: system calls alone, and
// nothing is changed.
int become(const ChildOptions& options, const char* program, char* const* argv, pid_t parent) {
  if (options.dies_with_thread) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) return ECHILD;  // the parent ended before the line above
  }
  if (options.own_group) ::setpgid(0, 0);
  const int given[] = {options.in, options.out, options.err};
  for (int fd = 0; fd < 3; ++fd) {
    if (given[fd] == fd) ::fcntl(fd, F_SETFD, 0);
    if (given[fd] >= 0 && given[fd] != fd && ::dup2(given[fd], fd) < 0) return errno;
  }
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(program, argv);
  return errno;
}

// Like posix_spawn(), which has no way to ask for PR_SET_PDEATHSIG: the child borrows this
// process's memory instead of copying its page tables, which for a large server takes long.
pid_t spawn(const ChildOptions& options, const char* program, char* const* argv, int& error) {
  const pid_t parent = ::getpid();
  volatile int failure = 0;  // the child's to set
  sigset_t all, before;
  sigfillset(&all);
  // No handler of this process runs in the child.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Vfork): become() is made for this, as posix_spawn()'s is.
    failure = become(options, program, argv, parent);
    ::_exit(kCannotStart);
  }
  error = pid < 0 ? errno : failure;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

std::uint64_t nanos(const timeval& t) {
  return static_cast<std::uint64_t>(t.tv_sec) * kNanosPerSecond +
         static_cast<std::uint64_t>(t.tv_usec) * 1000;
}

}  // namespace

std::string to_string(const ProcessEnd& end) {
  return fmt::format("{} {}", end.signaled ? "signal" : "exit status", end.code);
}

Result<ChildProcess> ChildProcess::start(const ChildOptions& options) {
  SCALIO_ASSERT(!options.argv.empty());
  std::vector<char*> argv;
  argv.reserve(options.argv.size() + 1);
  for (const std::string& a : options.argv) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const std::string& program = options.program.empty() ? options.argv[0] : options.program;
  int error = 0;
  ChildProcess child;
  child.pid_ = spawn(options, program.c_str(), argv.data(), error);
  if (child.pid_ >= 0 && error == 0) {
    child.fd_ = static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0));
    if (child.fd_ >= 0) return child;
    error = errno;
    ::kill(child.pid_, SIGKILL);
  }
  if (child.pid_ >= 0) ::waitpid(child.pid_, nullptr, 0);
  child.pid_ = -1;
  return {Code::unavailable,
          fmt::format("cannot start {}: {}", options.argv[0], std::strerror(error))};
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  if (!end_) kill();
  ::close(fd_);
}

void ChildProcess::swap(ChildProcess& other) {
  std::swap(pid_, other.pid_);
  std::swap(fd_, other.fd_);
  std::swap(end_, other.end_);
}

bool ChildProcess::has_ended(std::chrono::milliseconds bound) const {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  pollfd ended{fd_, POLLIN, 0};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const int ready =
        ::poll(&ended, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT32_MAX)));
    if (ready >= 0 || errno != EINTR) return ready != 0;
  }
}

std::optional<ProcessEnd> ChildProcess::wait(std::chrono::milliseconds bound) {
  if (end_) return end_;
  if (!has_ended(bound)) return std::nullopt;
  int status = 0;
  rusage usage{};
  while (::wait4(pid_, &status, 0, &usage) < 0) SCALIO_ASSERT(errno == EINTR);
  end_ =
      ProcessEnd{WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 nanos(usage.ru_utime) + nanos(usage.ru_stime)};
  return end_;
}

ProcessEnd ChildProcess::kill() {
  signal(SIGKILL);
  const std::optional<ProcessEnd> end = wait(kKillBound);
  SCALIO_ASSERT(end);
  return *end;
}

void ChildProcess::signal(int number) const {
  ::syscall(SYS_pidfd_send_signal, fd_, number, nullptr, 0);
}

std::optional<std::uint64_t> ChildProcess::cpu_time() const {
  clockid_t clock;
  timespec t{};
  if (end_ || ::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &t) != 0)
    return std::nullopt;
  return static_cast<std::uint64_t>(t.tv_sec) * kNanosPerSecond +
         static_cast<std::uint64_t>(t.tv_nsec);
}

}  // namespace scalio
