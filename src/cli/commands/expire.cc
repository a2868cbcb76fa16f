#include <fmt/format.h>

#include <memory>

#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/expiry_flags.h"
#include "cli/size.h"

namespace scalio::cli {
namespace {

struct ExpireFlags {
  ClientFlags client;
  ExpiryFlags expiry;
  std::string key;
  std::uint64_t if_version = 0;
  bool never = false;
};

int expire(const ExpireFlags& flags) {
  if (flags.expiry.given() == flags.never) {
    return fail({Code::invalid, "expire: one of --ttl, --expire-at and --never is needed"});
  }
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<std::uint64_t> version =
      (*client)->run((*client)->set_end(flags.key, flags.expiry.expiry(), flags.if_version));
  if (version.ok()) return kSuccess;
  if (version.code() == Code::not_found)
    return fail({Code::not_found, fmt::format("no key '{}'", flags.key)});
  return fail(
      {version.code(), fmt::format("expire '{}': {}", flags.key, version.status().to_string())});
}

}  // namespace

Subcommand add_expire(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("expire", "Change when a record ends; its value stays");
  auto flags = std::make_shared<ExpireFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  flags->client.add_to(*app);
  flags->expiry.add_to(*app);
  app->add_flag("--never", flags->never, "It lasts");
  as_count(app->add_option("--if-version", flags->if_version, "Only if this is the key's version"));
  app->footer(
      "Exit status 1 if there is no such key, 3 if its version is not that of --if-version.\n\n"
      "Examples:\n"
      "  scalio expire --server unix:/run/scalio.sock session42 --ttl 1800\n"
      "  scalio expire --server unix:/run/scalio.sock session42 --never");
  return {app, [flags] { return expire(*flags); }};
}

}  // namespace scalio::cli
