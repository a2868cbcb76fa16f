#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/size.h"

namespace scalio::cli {
namespace {

struct DeleteFlags {
  ClientFlags client;
  std::string key;
  std::optional<std::uint64_t> if_version;
};

int remove(const DeleteFlags& flags) {
  Result<std::unique_ptr<Client>> connected = flags.client.connect();
  if (!connected.ok()) return fail(connected.status());
  Client& client = **connected;
  Result<std::uint64_t> version = client.run(
      flags.if_version ? client.remove_if(flags.key, *flags.if_version) : client.remove(flags.key));
  if (!version.ok()) {
    return fail(
        {version.code(), fmt::format("delete '{}': {}", flags.key, version.status().to_string())});
  }
  return kSuccess;
}

}  // namespace

Subcommand add_delete(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("delete", "Remove a key, durably");
  auto flags = std::make_shared<DeleteFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  flags->client.add_to(*app);
  as_count(app->add_option("--if-version", flags->if_version,
                           "Only if this is the key's version, 1 or more"));
  app->footer(
      "Succeeds whether or not the key exists; with --if-version it ends with status 3 if the\n"
      "key has another version, or does not exist.\n\n"
      "Examples:\n"
      "  scalio delete --server unix:/run/scalio.sock user42\n"
      "  scalio delete --server unix:/run/scalio.sock --if-version 1234 user42");
  return {app, [flags] { return remove(*flags); }};
}

}  // namespace scalio::cli
