#include <fmt/format.h>

#include <memory>

#include "cli/client_flags.h"
#include "cli/command.h"

namespace scalio::cli {
namespace {

struct AppendFlags {
  ClientFlags client;
  std::string key;
  std::string text;
};

int append(const AppendFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<Appended> done = (*client)->run((*client)->append(flags.key, flags.text));
  if (done.ok()) return print(fmt::format("{}\n", done->size));
  return fail({done.code(), fmt::format("append '{}': {}", flags.key, done.status().to_string())});
}

}  // namespace

Subcommand add_append(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("append", "Append to the value of a key, durably");
  auto flags = std::make_shared<AppendFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  app->add_option("TEXT", flags->text, "What to append")->required();
  flags->client.add_to(*app);
  app->footer(
      "Prints the bytes that the value has then. A key that does not exist begins with nothing.\n\n"
      "Example:\n"
      "  scalio append --server unix:/run/scalio.sock log42 'one more line'");
  return {app, [flags] { return append(*flags); }};
}

}  // namespace scalio::cli
