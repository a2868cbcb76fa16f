// A user's secret, from where no other user of the system sees it: a file, or the terminal.
#pragma once

#include <scalio/status.h>

#include <string>

namespace scalio::cli {

// All of the file but a line end at its end. Failures: as read_private_file; invalid: it has none,
// or more than a secret can have.
Result<std::string> read_secret(const std::string& path);

// Asked for twice, and not shown. Failures: unavailable (no terminal), invalid (not the same).
Result<std::string> ask_secret(const std::string& user);

}  // namespace scalio::cli
