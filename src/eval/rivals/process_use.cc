#include "eval/rivals/process_use.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <sstream>
#include <string>

#include "base/read_file.h"

namespace scalio::eval {
namespace {

constexpr std::size_t kMostBytes = 64 * 1024;  // of a file of the kernel's

std::string text_of(const std::string& path) {
  Result<std::string> text = read_file(path, kMostBytes);
  return text.ok() ? *std::move(text) : std::string();
}

// As pthread_getcpuclockid() makes it, which wants a pthread_t: the kernel's number of a thread,
// with the bits for a thread's clock that counts what the scheduler gave it.
clockid_t cpu_clock(pid_t thread) {
  return static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | 4 | 2);
}

}  // namespace

std::optional<DiskBytes> disk_bytes(pid_t pid) {
  std::istringstream in(text_of(fmt::format("/proc/{}/io", pid)));
  std::optional<std::uint64_t> read, written;
  std::string name;
  for (std::uint64_t count = 0; in >> name >> count;) {
    if (name == "read_bytes:") read = count;
    if (name == "write_bytes:") written = count;
  }
  if (!read || !written) return std::nullopt;
  return DiskBytes{*read, *written};
}

std::uint64_t ended_children_cpu_us(pid_t pid) {
  constexpr int kBetween = 13;  // fields between the name and cutime: state to stime
  const std::string text = text_of(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream in(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < kBetween; ++i) in >> skipped;
  std::uint64_t user = 0, system = 0;
  in >> user >> system;
  return (user + system) * (1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

std::uint64_t threads_cpu_us(std::string_view name) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    if (!text_of(entry.path().string() + "/comm").starts_with(name)) continue;
    const std::string number = entry.path().filename().string();
    pid_t thread = 0;
    std::from_chars(number.data(), number.data() + number.size(), thread);
    timespec t{};
    if (::clock_gettime(cpu_clock(thread), &t) != 0) continue;
    sum += static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(t.tv_nsec) / 1000;
  }
  return sum;
}

}  // namespace scalio::eval
