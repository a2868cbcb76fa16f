#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/secret.h"
#include "cli/users_file.h"

namespace scalio::cli {
namespace {

struct UserFlags {
  std::string file;
  std::string name;
  std::vector<std::string> rights;
  std::vector<std::string> prefixes;
  std::string secret_file;
};

int add(const UserFlags& flags) {
  const auto fail_of_user = [&flags](const Status& why) {
    return fail(Status(why.code(), fmt::format("user {}: {}", flags.name, why.message())));
  };
  Result<layout::Rights> rights = rights_of(flags.rights);
  if (!rights.ok()) return fail_of_user(rights.status());
  if (Status s = check_prefixes(flags.prefixes, *rights); !s.ok()) return fail_of_user(s);
  const Result<std::string> secret =
      flags.secret_file.empty() ? ask_secret(flags.name) : read_secret(flags.secret_file);
  if (!secret.ok()) return fail(secret.status());
  if (const auto checked = layout::Credentials::create(flags.name, *secret); !checked.ok())
    return fail(checked.status());
  const Result<layout::UserKeys> keys = layout::UserKeys::of(*secret);
  if (!keys.ok()) return fail(keys.status());
  const Status changed = change_users(flags.file, true, [&](fabric::Users& users) {
    users.by_name[flags.name] = {*rights, *keys, flags.prefixes};
    return Status();
  });
  return changed.ok() ? kSuccess : fail(changed);
}

int remove(const UserFlags& flags) {
  const Status changed = change_users(flags.file, false, [&](fabric::Users& users) {
    if (users.by_name.erase(flags.name) != 0) return Status();
    return Status(Code::invalid, fmt::format("{} has no user {}", flags.file, flags.name));
  });
  return changed.ok() ? kSuccess : fail(changed);
}

int list(const UserFlags& flags) {
  const Result<fabric::Users> users = read_users(flags.file);
  if (!users.ok()) return fail(users.status());
  std::string text;
  for (const auto& [name, record] : users->by_name) {
    text += fmt::format("{} {}", name, fmt::join(names_of(record.rights), " "));
    for (const std::string& prefix : record.prefixes) text += " prefix=" + prefix;
    text += '\n';
  }
  return print(text);
}

CLI::App* add_command(CLI::App& parent, const char* name, const char* what, UserFlags& flags) {
  CLI::App* app = parent.add_subcommand(name, what);
  app->add_option("FILE", flags.file, "The file of users")->required();
  return app;
}

}  // namespace

Subcommand add_user_add(CLI::App& parent) {
  auto flags = std::make_shared<UserFlags>();
  CLI::App* app =
      add_command(parent, "add", "Add a user, or give one another secret and rights", *flags);
  app->add_option("NAME", flags->name, "Letters, digits, '-' and '_', 64 at most")->required();
  app->add_option("--right", flags->rights,
                  "read: use the cache and read the SSDs; read+fill: and fill the cache, which "
                  "others read; write: change the store; admin: at a gateway for Redis SLOWLOG, "
                  "LATENCY and CONFIG, at a server nothing. May be repeated")
      ->type_name("RIGHT")
      ->required()
      ->allow_extra_args(false);
  app->add_option("--prefix", flags->prefixes,
                  "It may write only keys that begin so, and at a gateway for Redis name only "
                  "these. At a server it reads all records: its client does that itself. May be "
                  "repeated. Default: all keys")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app->add_option("--secret-file", flags->secret_file,
                  "The file that has the secret, of 8 to 1024 bytes. Default: it is asked for on "
                  "the terminal")
      ->type_name("FILE");
  app->footer(
      "Makes the file if there is none. A running server or gateway takes it on SIGHUP.\n\n"
      "Examples:\n"
      "  scalio user add /etc/scalio-users.toml reader --right read\n"
      "  scalio user add /etc/scalio-users.toml app --right read+fill --right write\n"
      "  scalio user add /etc/gateway-users.toml shop --right read --right write --prefix shop:");
  return {app, [flags] { return add(*flags); }};
}

Subcommand add_user_remove(CLI::App& parent) {
  auto flags = std::make_shared<UserFlags>();
  CLI::App* app = add_command(parent, "remove", "Remove a user", *flags);
  app->add_option("NAME", flags->name, "Who is to connect no more")->required();
  app->footer(
      "A running server or gateway takes it on SIGHUP; who is connected stays so until it "
      "disconnects.\n\n"
      "Example:\n"
      "  scalio user remove /etc/scalio-users.toml reader");
  return {app, [flags] { return remove(*flags); }};
}

Subcommand add_user_list(CLI::App& parent) {
  auto flags = std::make_shared<UserFlags>();
  CLI::App* app = add_command(parent, "list", "List the users and their rights", *flags);
  app->footer(
      "Example:\n"
      "  scalio user list /etc/scalio-users.toml");
  return {app, [flags] { return list(*flags); }};
}

}  // namespace scalio::cli
