#include "cli/command.h"

#include <fmt/format.h>

namespace scalio::cli {

int fail(const Status& status) {
  fmt::print(stderr, "scalio: {}\n", status.message().empty() ? to_string(status.code()) : status.message());
  switch (status.code()) {
    case Code::not_found: return kNotFound;
    case Code::invalid: return kBadUse;
    default: return kFailure;
  }
}

}  // namespace scalio::cli
