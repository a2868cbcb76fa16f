#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/assert.h"

namespace scalio::testing {
namespace {

// In the child: only system calls, and then the program.
[[noreturn]] void become(const std::vector<char*>& argv, const std::string& out,
                         const std::string& err, pid_t parent) {
  constexpr int kCannotStart = 127;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotStart);  // the parent ended before the line above
  const int in_fd = open("/dev/null", O_RDONLY);
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (in_fd < 0 || out_fd < 0 || err_fd < 0) _exit(kCannotStart);
  dup2(in_fd, STDIN_FILENO);
  dup2(out_fd, STDOUT_FILENO);
  dup2(err_fd, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(kCannotStart);
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::filesystem::path& name)
    : name_(name) {
  std::vector<char*> args;
  args.reserve(argv.size() + 1);
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const std::string out_path = name.string() + ".out";
  const std::string err_path = name.string() + ".err";
  const pid_t parent = getpid();
  pid_ = fork();
  SCALIO_ASSERT(pid_ >= 0);
  if (pid_ == 0) become(args, out_path, err_path, parent);
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  SCALIO_ASSERT(pidfd_ >= 0);
}

Process::Process(Process&& other) noexcept { swap(other); }

Process& Process::operator=(Process&& other) noexcept {
  swap(other);
  return *this;
}

void Process::swap(Process& other) {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(exit_, other.exit_);
  std::swap(name_, other.name_);
}

Process::~Process() {
  if (pid_ < 0) return;
  kill();
  close(pidfd_);
}

std::optional<Exit> Process::wait(std::chrono::milliseconds bound) {
  if (exit_) return exit_;
  const auto deadline = std::chrono::steady_clock::now() + bound;
  pollfd ended{.fd = pidfd_, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    ready = poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return std::nullopt;
  int status = 0;
  SCALIO_ASSERT(waitpid(pid_, &status, 0) == pid_);
  exit_ = WIFSIGNALED(status) ? Exit{true, WTERMSIG(status)} : Exit{false, WEXITSTATUS(status)};
  return exit_;
}

void Process::signal(int number) {
  if (!exit_) ::kill(pid_, number);
}

void Process::kill() {
  signal(SIGKILL);
  // A killed process can take long only if the kernel does, in an I/O that does not end.
  SCALIO_ASSERT(wait(std::chrono::minutes(1)));
}

std::string Process::out() const { return read_file(name_.string() + ".out"); }
std::string Process::err() const { return read_file(name_.string() + ".err"); }

Finished run(const std::vector<std::string>& argv, const std::filesystem::path& name,
             std::chrono::milliseconds bound) {
  Process process(argv, name);
  const std::optional<Exit> exit = process.wait(bound);
  if (!exit) process.kill();
  return {exit && !exit->signaled ? exit->code : -1, process.out(), process.err()};
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace scalio::testing
