#include "cli/command.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace scalio::cli {

int print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return kSuccess;
  }
  return fail({Code::io_error, fmt::format("cannot write to stdout: {}", std::strerror(errno))});
}

void say(std::string_view text) {
  std::fputs(fmt::format("scalio: {}\n", printable(text)).c_str(), stderr);
}

int fail(const Status& status) {
  say(status.message().empty() ? to_string(status.code()) : status.message());
  switch (status.code()) {
    case Code::not_found: return kNotFound;
    case Code::invalid: return kBadUse;
    default: return kFailure;
  }
}

}  // namespace scalio::cli
