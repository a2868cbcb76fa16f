#include "cli/users_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/error_text.h"
#include "base/read_file.h"
#include "net/unique_fd.h"

namespace scalio::cli {

namespace {
constexpr std::size_t kMaxUsersFile = 1 << 20;
// The parser takes stack for each dot of a key, which is on one line.
constexpr std::size_t kMaxLine = 1024;

constexpr char kHeader[] =
    "# Who may use a store (scalio serve --users). Written by `scalio user`: keep it to "
    "yourself.\n";

// No name of a user: it has blanks.
constexpr char kMask[] = "mask of salts";

std::optional<layout::LoginKey> mask_of(const std::string& digits) {
  layout::LoginKey mask{};
  bool ok = digits.size() == 2 * mask.size();
  for (std::size_t i = 0; ok && i < mask.size(); ++i) {
    const char* two = digits.data() + 2 * i;
    ok = std::from_chars(two, two + 2, mask[i], 16).ptr == two + 2;
  }
  return ok ? std::optional(mask) : std::nullopt;
}

bool has_long_line(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > kMaxLine) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

Result<layout::UserRecord> record_of(const toml::table& user) {
  std::vector<std::string> names, prefixes;
  std::optional<layout::UserKeys> keys;
  for (const auto& [key, value] : user) {
    if ((key == "rights" || key == "prefixes") && value.is_array()) {
      for (const toml::node& text : *value.as_array()) {
        (key == "rights" ? names : prefixes).push_back(text.value_or(std::string()));
      }
    } else if (key == "secret" && value.is_string()) {
      keys = layout::UserKeys::parse(value.ref<std::string>());
    } else {
      return Status(
          Code::invalid,
          fmt::format("'{}' is none of rights = [...], prefixes = [...] and secret = \"...\"",
                      key.str()));
    }
  }
  if (!keys) return Status(Code::invalid, "its secret is none that `scalio user add` has written");
  const Result<layout::Rights> rights = rights_of(names);
  if (!rights.ok()) return rights.status();
  if (Status s = check_prefixes(prefixes, *rights); !s.ok()) return s;
  return layout::UserRecord{*rights, *keys, std::move(prefixes)};
}

Result<fabric::Users> users_of(const toml::table& file) {
  fabric::Users users;
  for (const auto& [name, value] : file) {
    const std::string user(name.str());
    const toml::table* const table = value.as_table();
    if (user == kMask && value.is_string()) {
      const std::optional<layout::LoginKey> mask = mask_of(value.ref<std::string>());
      if (!mask) return Status(Code::invalid, "its mask of salts is none of 64 digits");
      users.mask = mask;
      continue;
    }
    if (!layout::is_user_name(user) || table == nullptr) {
      return Status(Code::invalid, fmt::format("'{}' is no user: [NAME], of at most {} letters, "
                                               "digits, '-' and '_'",
                                               user, layout::kMaxUserName));
    }
    const Result<layout::UserRecord> record = record_of(*table);
    if (!record.ok()) {
      return Status(Code::invalid, fmt::format("user {}: {}", user, record.status().message()));
    }
    users.by_name.emplace(user, *record);
  }
  return users;
}

std::string text_of(const fabric::Users& users) {
  const layout::LoginKey mask = users.mask ? *users.mask : layout::random_login_key();
  std::string text = fmt::format("{}\n\"{}\" = \"{:02x}\"\n", kHeader, kMask, fmt::join(mask, ""));
  for (const auto& [name, record] : users.by_name) {
    text += fmt::format("\n[{}]\nrights = [\"{}\"]\nsecret = \"{}\"\n", name,
                        fmt::join(names_of(record.rights), "\", \""), record.keys.text());
    if (record.prefixes.empty()) continue;
    text += fmt::format("prefixes = [\"{}\"]\n", fmt::join(record.prefixes, "\", \""));
  }
  return text;
}

// As the file that it is to replace has it, so that who may read that one may read this one.
bool give_owner_of(const std::string& path, int fd) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return errno == ENOENT;
  return ::fchown(fd, st.st_uid, st.st_gid) == 0 &&
         ::fchmod(fd, st.st_mode & (S_IRWXU | S_IRWXG)) == 0;
}

// With nothing left to be written by the kernel.
bool write_durably(const std::string& path, const std::string& text, const std::string& replaced) {
  ::unlink(path.c_str());  // of one that was killed
  const net::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
  return fd && give_owner_of(replaced, fd.get()) &&
         write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
         fsync(fd.get()) == 0;
}
}  // namespace

std::vector<std::string> names_of(layout::Rights rights) {
  std::vector<std::string> names;
  names.emplace_back((rights & layout::kMayFill) != 0 ? kFillRight : kReadRight);
  if ((rights & layout::kMayWrite) != 0) names.emplace_back(kWriteRight);
  if ((rights & layout::kMayAdmin) != 0) names.emplace_back(kAdminRight);
  return names;
}

Result<layout::Rights> rights_of(const std::vector<std::string>& names) {
  layout::Rights rights = 0;
  for (const std::string& name : names) {
    if (name == kReadRight) {
      rights |= layout::kMayRead;
    } else if (name == kFillRight) {
      rights |= layout::kMayRead | layout::kMayFill;
    } else if (name == kWriteRight) {
      rights |= layout::kMayWrite;
    } else if (name == kAdminRight) {
      rights |= layout::kMayAdmin;
    } else {
      return Status(Code::invalid,
                    fmt::format("there is no right '{}': {}, {}, {} and {} are", name, kReadRight,
                                kFillRight, kWriteRight, kAdminRight));
    }
  }
  if ((rights & layout::kMayRead) == 0) {
    return Status(Code::invalid, fmt::format("it has neither {} nor {}, which a client needs",
                                             kReadRight, kFillRight));
  }
  return rights;
}

Status check_prefixes(const std::vector<std::string>& prefixes, layout::Rights rights) {
  if (!prefixes.empty() && (rights & layout::kMayAdmin) != 0) {
    return {Code::invalid, fmt::format("prefixes of keys and the right {}, which exclude each "
                                       "other: who administers is told of all keys",
                                       kAdminRight)};
  }
  const auto fits = [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; };
  const bool all_fit = std::ranges::all_of(prefixes, [&](const std::string& prefix) {
    return !prefix.empty() && prefix.size() <= kMaxPrefix && std::ranges::all_of(prefix, fits);
  });
  if (all_fit && prefixes.size() <= kMostPrefixes) return Status();
  return {Code::invalid, fmt::format("a user has {} prefixes of keys at most, each of 1 to {} "
                                     "printable characters of ASCII, without quotes and "
                                     "backslashes",
                                     kMostPrefixes, kMaxPrefix)};
}

Result<fabric::Users> read_users(const std::string& path) {
  const Result<std::string> text = read_private_file(path, kMaxUsersFile);
  if (!text.ok()) return Status(text.code(), "users: " + text.status().message());
  if (has_long_line(*text)) {
    return Status(Code::invalid, fmt::format("{}: a line of more than {} bytes", path, kMaxLine));
  }
  try {
    Result<fabric::Users> users = users_of(toml::parse(*text, path));
    if (!users.ok()) return Status(Code::invalid, path + ": " + users.status().message());
    return users;
  } catch (const toml::parse_error& e) {
    return Status(Code::invalid,
                  fmt::format("{}, line {}: {}", path, e.source().begin.line, e.description()));
  }
}

namespace {
Result<fabric::Users> read_users_for(const std::string& path, Prefixes prefixes) {
  Result<fabric::Users> users = read_users(path);
  if (!users.ok() || prefixes == Prefixes::bind_all) return users;
  std::vector<std::string_view> bound;
  for (const auto& [name, record] : users->by_name) {
    if (record.prefixes.empty()) continue;
    if ((record.rights & layout::kMayFill) != 0) {
      return Status(Code::invalid,
                    fmt::format("{}: user {} has prefixes of keys and the right {}, which a server "
                                "cannot keep together: who fills the cache can give others wrong "
                                "values of any key. Give it {}, or no prefixes",
                                path, name, kFillRight, kReadRight));
    }
    bound.push_back(name);
  }
  if (!bound.empty()) {
    spdlog::info(
        "{}: prefixes of keys bind what a user writes, not what it reads, which its "
        "client does itself: {} may read all records",
        path, fmt::join(bound, ", "));
  }
  return users;
}
}  // namespace

Result<std::shared_ptr<fabric::UserTable>> load_users(const std::string& path, Prefixes prefixes) {
  if (path.empty()) return std::shared_ptr<fabric::UserTable>();
  Result<fabric::Users> users = read_users_for(path, prefixes);
  // Whatever it is, starting again does not help.
  if (!users.ok()) return Status(Code::invalid, users.status().message());
  return std::make_shared<fabric::UserTable>(std::move(*users));
}

void reload_users(const std::string& path, Prefixes prefixes, fabric::UserTable& table) {
  Result<fabric::Users> users = read_users_for(path, prefixes);
  if (!users.ok()) {
    return spdlog::error("SIGHUP: {}; the users stay as they are", users.status().message());
  }
  const std::size_t count = users->by_name.size();
  table.replace(std::move(*users));
  spdlog::info("SIGHUP: {}: {} users; who is connected stays so", path, count);
}

namespace {
Status write_users(const std::string& path, const fabric::Users& users) {
  const std::string fresh = path + ".new";
  if (!write_durably(fresh, text_of(users), path) || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(fresh.c_str());
    return Status(Code::io_error, fmt::format("cannot write {}: {}", path, error_text(error)));
  }
  return Status();
}

// The file as it is now, which is another one once somebody has replaced it.
Result<net::UniqueFd> lock(const std::string& path, bool may_be_new) {
  const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (may_be_new ? O_CREAT : 0);
  net::UniqueFd fd(::open(path.c_str(), flags, S_IRUSR | S_IWUSR));
  if (!fd) {
    return Status(errno == ENOENT ? Code::not_found : Code::io_error,
                  fmt::format("cannot open {}: {}", path, error_text(errno)));
  }
  struct stat locked {};
  struct stat there {};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &locked) != 0 ||
      ::stat(path.c_str(), &there) != 0 || locked.st_dev != there.st_dev ||
      locked.st_ino != there.st_ino) {
    return Status(Code::busy, fmt::format("{}: another process is changing it: try again", path));
  }
  return fd;
}
}  // namespace

Status change_users(const std::string& path, bool may_be_new,
                    const std::function<Status(fabric::Users&)>& change) {
  const Result<net::UniqueFd> locked = lock(path, may_be_new);
  if (!locked.ok()) return locked.status();
  Result<fabric::Users> users = read_users(path);
  if (!users.ok()) return users.status();
  if (Status s = change(*users); !s.ok()) return s;
  // Of a link, which stays, the file that it names.
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(path, error);
  if (error) return Status(Code::io_error, fmt::format("{}: {}", path, error.message()));
  return write_users(file.string(), *users);
}

}  // namespace scalio::cli
