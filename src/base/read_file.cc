#include "base/read_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace scalio {

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (!file) {
    return {errno == ENOENT ? Code::not_found : Code::io_error,
            fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  // Neither seeks nor asks for the size: a pipe has none.
  std::string text(most + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return {errno == EISDIR ? Code::invalid : Code::io_error,
            fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  if (text.size() > most) {
    return {Code::invalid, fmt::format("{} has more than the {} bytes that are taken", path, most)};
  }
  return text;
}

}  // namespace scalio
