#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/slow_writes.h"
#include "cli/stat_table.h"
#include "client/client_loop.h"

namespace scalio::cli {
namespace {

struct StatFlags {
  ClientFlags client;
  bool json = false;
  bool slow = false;
};

int slow(Client& client, bool as_json) {
  const Result<std::string> text = client.run(client::ClientLoop::slow_log(client));
  if (!text.ok()) return fail(text.status());
  const auto logs = parse_json<nlohmann::ordered_json>(*text);
  if (!logs.is_array())
    return fail({Code::corrupt, "the server's slow log is nested too deep to be one"});
  const auto log = merged_slow_writes(logs);
  return print(as_json ? json_text(log, 2) + "\n" : slow_writes_text(log));
}

int stat(const StatFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  if (flags.slow) return slow(**client, flags.json);
  Result<std::string> text = (*client)->run((*client)->stat());
  if (!text.ok()) return fail(text.status());
  auto json = parse_json<nlohmann::ordered_json>(*text);
  if (!json.is_object())
    return fail({Code::corrupt, "the server's statistics are not a JSON object"});
  return print(flags.json ? json_text(json, 2) + "\n" : stat_table(json));
}

}  // namespace

Subcommand add_stat(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("stat", "Print the server's statistics");
  auto flags = std::make_shared<StatFlags>();
  flags->client.add_to(*app);
  app->add_flag("--json", flags->json, "Print them as JSON");
  app->add_flag("--slow", flags->slow,
                "Print the last writes that took the server long (`scalio serve --slow`) instead");
  app->footer(
      "Counts are since the server was started. docs/operations.md says what each one means.\n\n"
      "Examples:\n"
      "  scalio stat --server unix:/run/scalio.sock\n"
      "  scalio stat --server unix:/run/scalio.sock --json | jq .ssd_writes\n"
      "  scalio stat --server unix:/run/scalio.sock --slow");
  return {app, [flags] { return stat(*flags); }};
}

}  // namespace scalio::cli
