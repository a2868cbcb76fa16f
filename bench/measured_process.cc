#include "measured_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

#include "check.h"

namespace scalio::bench {

namespace {
std::optional<std::uint64_t> read_clock(clockid_t clock) {
  timespec t;
  if (clock_gettime(clock, &t) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

ChildProcess start(const std::vector<std::string>& argv, const std::filesystem::path& out) {
  const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail(fmt::format("{}: {}", out.string(), std::strerror(errno)));
  Result<ChildProcess> child =
      ChildProcess::start({.argv = argv, .out = fd, .dies_with_thread = true});
  close(fd);
  if (!child.ok()) fail(child.status().message());
  return *std::move(child);
}
}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::filesystem::path& out)
    : child_(start(argv, out)) {}

std::optional<int> Process::wait(std::chrono::milliseconds bound) {
  const std::optional<ProcessEnd> end = child_.wait(bound);
  if (!end) return std::nullopt;
  return end->signaled ? 128 + end->code : end->code;
}

std::uint64_t Process::cpu_ns() const {
  const std::optional<std::uint64_t> used = child_.cpu_time();
  if (!used) fail(fmt::format("the CPU time of process {} cannot be read", pid()));
  return *used;
}

std::uint64_t Process::peak_resident_bytes() const {
  constexpr std::string_view kField = "VmHWM:";
  const std::string status = read_file(fmt::format("/proc/{}/status", pid()));
  const std::size_t at = status.find(kField);
  if (at == std::string::npos) fail(fmt::format("the memory of process {} cannot be read", pid()));
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
