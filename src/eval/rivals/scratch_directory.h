// ScratchDirectory: a directory of this process's own, removed with all that is in it.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <string>

namespace scalio::eval {

class ScratchDirectory {
 public:
  // In `parent`, with a name that nothing has. Only this user may enter it. Failures: io_error.
  static Result<std::unique_ptr<ScratchDirectory>> create(const std::string& parent);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace scalio::eval
