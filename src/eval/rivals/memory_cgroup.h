// MemoryCgroup: a control group that limits the memory of processes, page cache included, and
// counts their I/O where the kernel does.
//
// Version 2 where it has the memory controller, or else version 1. Making one takes root.
#pragma once

#include <scalio/status.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

namespace scalio::eval {

// At the SSD, since the group was made.
struct CgroupIo {
  std::uint64_t reads = 0, writes = 0;
  std::uint64_t bytes_read = 0, bytes_written = 0;
};

class MemoryCgroup {
 public:
  // Failures: unavailable, with what this machine lacks. `root` stands for /, in tests.
  static Result<std::unique_ptr<MemoryCgroup>> create(std::uint64_t bytes,
                                                      const std::filesystem::path& root = "/");
  // This process goes back to where it was. Others that are held must have ended.
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  // What the process takes from now on counts. Failures: unavailable.
  Status hold(pid_t pid);
  std::optional<CgroupIo> io() const;

 private:
  struct Hierarchy;
  MemoryCgroup(std::filesystem::path path, std::filesystem::path before)
      : path_(std::move(path)), before_(std::move(before)) {}
  static std::optional<Hierarchy> find(const std::filesystem::path& root);
  Status limit(const Hierarchy& hierarchy, std::uint64_t bytes);

  const std::filesystem::path path_;
  const std::filesystem::path before_;  // where this process was
  bool holds_us_ = false;
};

}  // namespace scalio::eval
