#include "support/scratch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/assert.h"

namespace scalio::testing {
namespace {

std::filesystem::path make_unique(const std::filesystem::path& prefix) {
  std::string path = prefix.string() + "-XXXXXX";
  SCALIO_ASSERT(mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace

Scratch::Scratch(const std::string& name) {
  const char* chosen = std::getenv("SCALIO_TEST_DIR");
  const std::filesystem::path base = chosen != nullptr ? chosen : SCALIO_DEFAULT_TEST_DIR;
  std::filesystem::create_directories(base);
  path_ = make_unique(base / name);
  sockets_ = make_unique(std::filesystem::temp_directory_path() / "scalio");
}

Scratch::~Scratch() {
  std::error_code ignored;  // what cannot be removed is only litter
  std::filesystem::remove_all(sockets_, ignored);
  if (::testing::Test::HasFailure()) {
    std::fprintf(stderr, "logs and histories are kept in %s\n", path_.c_str());
  } else {
    std::filesystem::remove_all(path_, ignored);
  }
}

}  // namespace scalio::testing
