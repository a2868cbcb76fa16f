#include "eval/rivals/memory_cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <string>

#include "base/error_text.h"
#include "base/read_file.h"
#include "net/unique_fd.h"

namespace scalio::eval {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 64 * 1024;  // of a file of the kernel's
constexpr std::string_view kPrefix = "scalio-eval-";

Status write_file(const fs::path& path, const std::string& text) {
  const net::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const bool good =
      fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (good) return Status();
  return Status(Code::unavailable, fmt::format("{}: {}", path.string(), error_text(errno)));
}

std::string text_of(const fs::path& path) {
  Result<std::string> text = read_file(path.string(), kMostBytes);
  return text.ok() ? *std::move(text) : std::string();
}

bool has_word(const std::string& text, std::string_view wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

// In /proc/self/cgroup a line is "4:memory:/path"; of version 2 it is "0::/path".
std::string own_path(const fs::path& root, std::string_view controller) {
  std::istringstream lines(text_of(root / "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) == controller) return line.substr(second + 1);
  }
  return "/";
}

// Those of processes that were killed stay, empty: removed by who comes next.
void remove_left_over(const fs::path& base) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(base, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    pid_t pid = 0;
    const char* const digits = name.data() + kPrefix.size();
    if (std::from_chars(digits, name.data() + name.size(), pid).ec != std::errc()) continue;
    if (::kill(pid, 0) < 0 && errno == ESRCH) ::rmdir(entry.path().c_str());
  }
}

}  // namespace

struct MemoryCgroup::Hierarchy {
  fs::path base;
  std::string limit_file;
  std::string controller;  // in /proc/self/cgroup
};

std::optional<MemoryCgroup::Hierarchy> MemoryCgroup::find(const fs::path& root) {
  const fs::path base = root / "sys/fs/cgroup";
  if (has_word(text_of(base / "cgroup.controllers"), "memory")) {
    return Hierarchy{base, "memory.max", ""};
  }
  if (fs::exists(base / "memory/memory.limit_in_bytes")) {
    return Hierarchy{base / "memory", "memory.limit_in_bytes", "memory"};
  }
  return std::nullopt;
}

Result<std::unique_ptr<MemoryCgroup>> MemoryCgroup::create(std::uint64_t bytes,
                                                           const fs::path& root) {
  const std::optional<Hierarchy> hierarchy = find(root);
  if (!hierarchy) {
    return Status(Code::unavailable, fmt::format("{}: no control groups that limit memory",
                                                 (root / "sys/fs/cgroup").string()));
  }
  remove_left_over(hierarchy->base);
  static std::atomic<int> made = 0;
  fs::path path = hierarchy->base / fmt::format("{}{}-{}", kPrefix, ::getpid(), made++);
  if (::mkdir(path.c_str(), 0755) != 0) {
    return Status(Code::unavailable, fmt::format("cannot make the control group {}: {}; it takes "
                                                 "root",
                                                 path.string(), error_text(errno)));
  }
  const fs::path own = own_path(root, hierarchy->controller);
  std::unique_ptr<MemoryCgroup> group(
      new MemoryCgroup(std::move(path), hierarchy->base / own.relative_path()));
  if (Status s = group->limit(*hierarchy, bytes); !s.ok()) return s;
  return group;
}

Status MemoryCgroup::limit(const Hierarchy& hierarchy, std::uint64_t bytes) {
  const fs::path file = path_ / hierarchy.limit_file;
  if (!fs::exists(file)) {
    return Status(Code::unavailable,
                  fmt::format("{} is not there: allow it by writing +memory to {}", file.string(),
                              (hierarchy.base / "cgroup.subtree_control").string()));
  }
  if (Status s = write_file(file, std::to_string(bytes)); !s.ok()) return s;
  // Memory that is swapped out would be more than it has.
  const fs::path swap = path_ / "memory.swap.max";
  return fs::exists(swap) ? write_file(swap, "0") : Status();
}

MemoryCgroup::~MemoryCgroup() {
  // If it cannot go back it stays limited, which harms nobody else.
  if (holds_us_) (void)write_file(before_ / "cgroup.procs", std::to_string(::getpid()));
  ::rmdir(path_.c_str());
}

Status MemoryCgroup::hold(pid_t pid) {
  Status held = write_file(path_ / "cgroup.procs", std::to_string(pid));
  holds_us_ |= held.ok() && pid == ::getpid();
  return held;
}

// Lines "259:0 rbytes=1 wbytes=2 rios=3 wios=4 ...", one a device. What lies upon each other (a
// mapping, its disk) counts the same I/Os: the one that has most is taken.
std::optional<CgroupIo> MemoryCgroup::io() const {
  if (!fs::exists(path_ / "io.stat")) return std::nullopt;
  CgroupIo most;
  std::istringstream lines(text_of(path_ / "io.stat"));
  for (std::string line; std::getline(lines, line);) {
    CgroupIo io;
    const std::array fields{std::pair{"rios=", &io.reads}, std::pair{"wios=", &io.writes},
                            std::pair{"rbytes=", &io.bytes_read},
                            std::pair{"wbytes=", &io.bytes_written}};
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      for (const auto& [name, to] : fields) {
        const std::string_view prefix = name;
        if (!word.starts_with(prefix)) continue;
        std::from_chars(word.data() + prefix.size(), word.data() + word.size(), *to);
      }
    }
    if (io.bytes_read + io.bytes_written > most.bytes_read + most.bytes_written) most = io;
  }
  return most;
}

}  // namespace scalio::eval
