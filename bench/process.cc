#include "process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "check.h"

namespace scalio::bench {

namespace {
constexpr std::chrono::milliseconds kPoll{10};
constexpr int kCannotStart = 127;

std::optional<std::uint64_t> read_clock(clockid_t clock) {
  timespec t;
  if (clock_gettime(clock, &t) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}
}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::filesystem::path& out) {
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail(fmt::format("{}: {}", out.string(), std::strerror(errno)));
  pid_ = fork();
  if (pid_ < 0) fail(fmt::format("cannot start {}: {}", argv[0], std::strerror(errno)));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(fd, STDOUT_FILENO);
    execvp(pointers[0], pointers.data());
    _exit(kCannotStart);
  }
  close(fd);
}

Process::~Process() {
  if (status_) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::optional<int> Process::wait(std::chrono::milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (!status_) {
    int raw = 0;
    if (waitpid(pid_, &raw, WNOHANG) == pid_) {
      status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    } else if (std::chrono::steady_clock::now() >= deadline) {
      break;
    } else {
      std::this_thread::sleep_for(kPoll);
    }
  }
  return status_;
}

void Process::signal(int number) {
  if (!status_) ::kill(pid_, number);
}

std::uint64_t Process::cpu_ns() const {
  clockid_t clock;
  std::optional<std::uint64_t> used;
  if (clock_getcpuclockid(pid_, &clock) == 0) used = read_clock(clock);
  if (!used) fail(fmt::format("the CPU time of process {} cannot be read", pid_));
  return *used;
}

std::uint64_t Process::peak_resident_bytes() const {
  constexpr std::string_view kField = "VmHWM:";
  const std::string status = read_file(fmt::format("/proc/{}/status", pid_));
  const std::size_t at = status.find(kField);
  if (at == std::string::npos) fail(fmt::format("the memory of process {} cannot be read", pid_));
  return std::strtoull(status.c_str() + at + kField.size(), nullptr, 10) * 1024;
}

std::uint64_t thread_cpu_ns() { return *read_clock(CLOCK_THREAD_CPUTIME_ID); }

std::uint64_t own_cpu_ns() { return *read_clock(CLOCK_PROCESS_CPUTIME_ID); }

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace scalio::bench
