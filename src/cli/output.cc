#include "cli/output.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "cli/error_output.h"

namespace scalio::cli {

namespace {
// Who reads stderr may be slow, and what is said is often the last that a program says.
constexpr std::chrono::seconds kSayPatience{10};
}  // namespace

int print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return kSuccess;
  }
  return fail({Code::io_error, fmt::format("cannot write to stdout: {}", std::strerror(errno))});
}

void say(std::string_view text) {
  write_error(fmt::format("scalio: {}\n", printable(text)), kSayPatience);
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
