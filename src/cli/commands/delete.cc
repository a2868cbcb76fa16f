#include <fmt/format.h>

#include <memory>

#include "cli/client_flags.h"
#include "cli/command.h"

namespace scalio::cli {
namespace {

struct DeleteFlags {
  ClientFlags client;
  std::string key;
};

int remove(const DeleteFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  Result<std::uint64_t> version = (*client)->run((*client)->remove(flags.key));
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
  app->footer(
      "Succeeds whether or not the key exists.\n\n"
      "Example:\n"
      "  scalio delete --server unix:/run/scalio.sock user42");
  return {app, [flags] { return remove(*flags); }};
}

}  // namespace scalio::cli
