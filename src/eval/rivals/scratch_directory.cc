#include "eval/rivals/scratch_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error_text.h"

namespace scalio::eval {

Result<std::unique_ptr<ScratchDirectory>> ScratchDirectory::create(const std::string& parent) {
  std::string path = parent + "/scalio-eval-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return Status(Code::io_error,
                  fmt::format("cannot make a directory in {}: {}", parent, error_text(errno)));
  }
  return std::unique_ptr<ScratchDirectory>(new ScratchDirectory(std::move(path)));
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;  // what cannot be removed is only litter
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace scalio::eval
