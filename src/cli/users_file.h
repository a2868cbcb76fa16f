// The file of `serve --users`: names, hashed secrets and rights, in TOML.
#pragma once

#include <scalio/status.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/server/user_table.h"

namespace scalio::cli {

// The names of rights, and which `rights` are. A user has one of the first two at least.
inline constexpr char kReadRight[] = "read";
inline constexpr char kFillRight[] = "read+fill";
inline constexpr char kWriteRight[] = "write";
std::vector<std::string> names_of(layout::Rights rights);
// Fails with invalid: there is no such right, or none to read.
Result<layout::Rights> rights_of(const std::vector<std::string>& names);

// Failures, with path and name: not_found; invalid: it is no such file, or everybody may read or
// write it; io_error.
Result<fabric::Users> read_users(const std::string& path);
// Replaces the file, all or nothing, and only its owner may read it. What else was in it, comments,
// is lost. Failures: io_error.
Status write_users(const std::string& path, const fabric::Users& users);

}  // namespace scalio::cli
