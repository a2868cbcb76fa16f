// NvmetDirectory: the directory of nvmet, the kernel's NVMe-oF target, in configfs.
#pragma once

#include <scalio/status.h>

#include <string>
#include <vector>

namespace scalio::nvmf {

// The seam for tests. make() to remove() return 0 or an errno.
class NvmetDirectory {
 public:
  // `configfs` is where configfs is mounted: /sys/kernel/config.
  explicit NvmetDirectory(const std::string& configfs) : path_(configfs + "/nvmet") {}
  virtual ~NvmetDirectory() = default;
  NvmetDirectory(const NvmetDirectory&) = delete;
  NvmetDirectory& operator=(const NvmetDirectory&) = delete;

  const std::string& path() const { return path_; }
  // Failures: unavailable (no configfs, or nvmet is not loaded), saying what to do.
  virtual Status available() const;
  virtual std::vector<std::string> list(
      const std::string& directory) const;  // empty if there is none
  virtual std::string read(
      const std::string& file) const;  // without the newline; empty if there is none

  virtual int make(const std::string& directory);
  virtual int write(const std::string& file, const std::string& value);
  virtual int link(const std::string& path, const std::string& to);
  virtual int remove(const std::string& path);  // a link, or a directory that is no longer in use

 private:
  std::string path_;
};

}  // namespace scalio::nvmf
