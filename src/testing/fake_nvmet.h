// FakeNvmet: nvmet's directory in configfs without a kernel, for tests of what is made there.
#pragma once

#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nvmf/kernel/nvmet_directory.h"

namespace scalio::nvmf {

// Behaves as the kernel does: making a directory brings its files and inner
// directories, and what is in use cannot be removed.
class FakeNvmet : public NvmetDirectory {
 public:
  struct State {
    std::set<std::string> made = {"hosts", "ports",
                                  "subsystems"};  // directories, also those that came along
    std::map<std::string, std::string> links;
    std::map<std::string, std::string> files;
    bool operator==(const State&) const = default;
  };
  // Thrown where a kill -9 would end the process.
  struct Killed {};

  FakeNvmet() : NvmetDirectory("/sys/kernel/config") {}

  Status available() const override { return {}; }
  std::vector<std::string> list(const std::string& directory) const override {
    std::vector<std::string> names;
    for (const std::string& path : state.made) {
      if (std::filesystem::path(path).parent_path() == directory)
        names.push_back(std::filesystem::path(path).filename());
    }
    return names;
  }
  std::string read(const std::string& file) const override {
    const auto found = state.files.find(file);
    return found == state.files.end() ? "" : found->second;
  }

  int make(const std::string& directory) override {
    if (int error = tick()) return error;
    const std::string parent = std::filesystem::path(directory).parent_path();
    if (!state.made.contains(parent)) return ENOENT;
    if (!state.made.insert(directory).second) return EEXIST;
    const std::string kind = std::filesystem::path(parent).filename();
    if (kind == "subsystems") {
      come_along(directory, {"namespaces", "allowed_hosts"}, {"attr_allow_any_host"});
      if (offers_offload) state.files[directory + "/attr_offload"] = "0";
    } else if (kind == "namespaces") {
      come_along(directory, {}, {"device_path", "device_uuid", "device_nguid", "enable"});
    } else if (kind == "ports") {
      come_along(directory, {"subsystems", "referrals"},
                 {"addr_trtype", "addr_adrfam", "addr_traddr", "addr_trsvcid"});
    }
    return 0;
  }
  int write(const std::string& file, const std::string& value) override {
    if (!state.files.contains(file)) return ENOENT;
    if (int error = tick()) return error;
    state.files[file] = value;
    return 0;
  }
  int link(const std::string& path, const std::string& to) override {
    if (int error = tick()) return error;
    if (!state.made.contains(std::filesystem::path(path).parent_path()) || !state.made.contains(to))
      return ENOENT;
    return state.links.emplace(path, to).second ? 0 : EEXIST;
  }
  int remove(const std::string& path) override {
    before_step();
    if (state.links.erase(path) == 1) return 0;
    if (!state.made.contains(path)) return ENOENT;
    for (const auto& [link, to] : state.links) {
      if (to == path) return EBUSY;
      if (link.starts_with(path + "/")) return ENOTEMPTY;
    }
    for (const std::string& inner : state.made) {
      if (inner.starts_with(path + "/") && !came_along_.contains(inner)) return ENOTEMPTY;
    }
    std::erase_if(state.made,
                  [&](const auto& p) { return p == path || p.starts_with(path + "/"); });
    std::erase_if(state.files, [&](const auto& f) { return f.first.starts_with(path + "/"); });
    return 0;
  }

  State state;
  bool offers_offload = false;
  std::optional<int> fails_after;   // so many changes
  std::optional<int> killed_after;  // the same
  int error = EINVAL;               // of the change that fails
  std::function<void()> before_step = [] {};

 private:
  int tick() {
    before_step();
    if (killed_after && (*killed_after)-- == 0) throw Killed();
    if (fails_after && (*fails_after)-- == 0) return error;
    return 0;
  }
  void come_along(const std::string& directory, const std::vector<std::string>& directories,
                  const std::vector<std::string>& files) {
    for (const std::string& name : directories) {
      const std::string path = std::filesystem::path(directory) / name;
      state.made.insert(path);
      came_along_.insert(path);
    }
    for (const std::string& name : files) state.files[std::filesystem::path(directory) / name] = "";
  }

  std::set<std::string> came_along_;
};

}  // namespace scalio::nvmf
