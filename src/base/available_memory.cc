#include "base/available_memory.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>
#include <string_view>

namespace scalio {

namespace fs = std::filesystem;

namespace {

// The files of one version of control groups.
struct Version {
  std::string_view filesystem;  // in /proc/self/mountinfo
  std::array<const char*, 2> limits;
  const char* used;
  std::array<std::string_view, 3> reclaimable;  // lines of memory.stat
};
constexpr Version kVersion2{"cgroup2",
                            {"memory.max", "memory.high"},
                            "memory.current",
                            {"inactive_file", "active_file", "slab_reclaimable"}};
constexpr Version kVersion1{"cgroup",
                            {"memory.limit_in_bytes", "memory.limit_in_bytes"},
                            "memory.usage_in_bytes",
                            {"total_inactive_file", "total_active_file", ""}};

// A mounted hierarchy, and where in it the process is.
struct Place {
  fs::path mount;
  fs::path group;  // relative
};

bool is_listed(std::string_view word, const std::string& list) {
  std::istringstream words(list);
  for (std::string w; std::getline(words, w, ',');) {
    if (w == word) return true;
  }
  return false;
}

// Nothing where the file is not there, or says "max".
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t n = 0;
  if (in >> n) return n;
  return std::nullopt;
}

// The sum of some lines "NAME NUMBER" (and more) of a file.
std::uint64_t sum_of(const fs::path& file, std::span<const std::string_view> names) {
  std::ifstream in(file);
  std::uint64_t sum = 0, n = 0;
  for (std::string line, name; std::getline(in, line);) {
    std::istringstream fields(line);
    if (fields >> name >> n && std::ranges::find(names, name) != names.end()) sum += n;
  }
  return sum;
}

// What /proc/self/cgroup says: the process's group in the hierarchy of the version that has memory.
std::optional<std::string> group_of(const fs::path& root, const Version& version) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // NUMBER:CONTROLLERS:PATH
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool here = &version == &kVersion2 ? line.starts_with("0:") && controllers.empty()
                                             : is_listed("memory", controllers);
    if (here) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::optional<Place> place_of(const fs::path& root, const Version& version) {
  const std::optional<std::string> group = group_of(root, version);
  if (!group) return std::nullopt;
  std::ifstream in(root / "proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    // ID PARENT DEVICE ROOT MOUNT OPTIONS... - TYPE SOURCE OPTIONS
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string skipped, top, mount, type, source, options;
    std::istringstream(line.substr(0, dash)) >> skipped >> skipped >> skipped >> top >> mount;
    std::istringstream(line.substr(dash + 3)) >> type >> source >> options;
    if (type != version.filesystem || (&version == &kVersion1 && !is_listed("memory", options)))
      continue;
    // Of a container, only what is below the mount's top can be seen.
    const fs::path below = fs::path(*group).lexically_relative(top);
    const bool visible = !below.empty() && *below.begin() != "..";
    return Place{root / fs::path(mount).relative_path(), visible ? below : fs::path(".")};
  }
  return std::nullopt;
}

void limit_by(AvailableMemory& available, std::uint64_t bytes, const std::string& of) {
  if (bytes < available.bytes) available = {bytes, of};
}

void limit_by_group(AvailableMemory& available, const Version& version, const fs::path& group) {
  const std::uint64_t used = number_in(group / version.used).value_or(0);
  const std::uint64_t kept =
      used - std::min(used, sum_of(group / "memory.stat", version.reclaimable));
  for (const char* file : version.limits) {
    const std::optional<std::uint64_t> limit = number_in(group / file);
    if (limit)
      limit_by(available, *limit - std::min(*limit, kept), "the control group " + group.string());
  }
}

}  // namespace

AvailableMemory available_memory(const fs::path& root) {
  AvailableMemory available;
  constexpr std::array<std::string_view, 1> kMachine{"MemAvailable:"};
  if (const std::uint64_t kib = sum_of(root / "proc/meminfo", kMachine); kib > 0) {
    limit_by(available, kib << 10, "this machine");
  }
  for (const Version* version : {&kVersion2, &kVersion1}) {
    const std::optional<Place> place = place_of(root, *version);
    if (!place) continue;
    fs::path group = place->mount;
    limit_by_group(available, *version, group);
    for (const fs::path& step : place->group) {
      if (step == ".") continue;
      group /= step;
      limit_by_group(available, *version, group);
    }
  }
  return available;
}

}  // namespace scalio
