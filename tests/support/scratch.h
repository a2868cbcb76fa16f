// A directory of one test, on a disk that takes O_DIRECT, removed when the test ends well.
#pragma once

#include <filesystem>
#include <string>

namespace scalio::testing {

class Scratch {
 public:
  // In $SCALIO_TEST_DIR, or else in the build directory.
  explicit Scratch(const std::string& name);
  // Stays if the current test failed, and its path is printed: it holds the logs and histories.
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  // A short directory for sockets, whose paths the system limits to about 100 bytes.
  const std::filesystem::path& sockets() const { return sockets_; }

 private:
  std::filesystem::path path_;
  std::filesystem::path sockets_;
};

}  // namespace scalio::testing
