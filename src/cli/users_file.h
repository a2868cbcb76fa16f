// The file of `serve --users`: names, hashed secrets and rights, in TOML.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/user_table.h"

namespace scalio::cli {

// The names of rights, and which `rights` are. A user has one of the first two at least.
inline constexpr char kReadRight[] = "read";
inline constexpr char kFillRight[] = "read+fill";
inline constexpr char kWriteRight[] = "write";
inline constexpr char kAdminRight[] = "admin";
std::vector<std::string> names_of(layout::Rights rights);
// Fails with invalid: there is no such right, or none to read.
Result<layout::Rights> rights_of(const std::vector<std::string>& names);

// Failures, with path and name: not_found; invalid: it is no such file, or everybody may read or
// write it; io_error.
Result<fabric::Users> read_users(const std::string& path);
// What users are kept to their prefixes of keys in, by who loads the file: a gateway in all that
// they name; a server in what they write, because its clients read the region and the SSDs
// themselves. Who fills the cache writes that itself too: with prefixes it is refused by a server
// (invalid).
enum class Prefixes : std::uint8_t { bind_all, bind_writes };
// The table of a file; null without one. The log has whose reading is not bound. Failures: as
// read_users.
Result<std::shared_ptr<fabric::UserTable>> load_users(const std::string& path, Prefixes prefixes);
// On SIGHUP: takes the file on, or says why not, in the log.
void reload_users(const std::string& path, Prefixes prefixes, fabric::UserTable& table);

// Of a user's prefixes of keys, which are printable ASCII without quotes and backslashes.
inline constexpr std::size_t kMostPrefixes = 8, kMaxPrefix = 100;
// Fails with invalid: also of who administers, and is told of all keys.
Status check_prefixes(const std::vector<std::string>& prefixes, layout::Rights rights);

// Replaces the file by what `change` makes of it, all or nothing, while no other process does so.
// Owner, group and mode stay; a new one, which is made if `may_be_new`, only its owner may read.
// What else was in it, comments, is lost. Failures: busy: another changes it; those of `change`; as
// read_users.
Status change_users(const std::string& path, bool may_be_new,
                    const std::function<Status(fabric::Users&)>& change);

}  // namespace scalio::cli
