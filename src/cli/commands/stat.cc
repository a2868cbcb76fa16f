#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/stat_table.h"
#include "client/client_loop.h"

namespace scalio::cli {
namespace {

struct StatFlags {
  ClientFlags client;
  bool json = false;
  bool slow = false;
};

// Those of all shards together, oldest first.
nlohmann::ordered_json merged(const nlohmann::ordered_json& logs) {
  std::vector<nlohmann::ordered_json> operations;
  std::uint64_t seen = 0;
  for (std::size_t shard = 0; shard < logs.size(); ++shard) {
    seen += logs[shard].value("seen", std::uint64_t{0});
    for (nlohmann::ordered_json operation : logs[shard]["operations"]) {
      operation["shard"] = shard;
      operations.push_back(std::move(operation));
    }
  }
  const auto time = [](const nlohmann::ordered_json& operation) {
    return operation.value("ended_unix_ms", std::uint64_t{0});
  };
  std::ranges::stable_sort(operations, {}, time);
  return {{"threshold_us", logs.at(0).value("threshold_us", std::uint64_t{0})},
          {"seen", seen},
          {"operations", std::move(operations)}};
}

std::string slow_text(const nlohmann::ordered_json& slow) {
  std::string out = fmt::format("{} writes took {} ms or longer since the start{}\n",
                                slow["seen"].get<std::uint64_t>(),
                                slow["threshold_us"].get<std::uint64_t>() / 1000,
                                slow["operations"].empty() ? "" : "; the last of each shard:");
  for (const nlohmann::ordered_json& o : slow["operations"]) {
    const auto ended = static_cast<std::time_t>(o.value("ended_unix_ms", std::uint64_t{0}) / 1000);
    const std::string key = o.value("key", "");
    const bool cut = o.value("key_bytes", std::uint64_t{0}) > key.size();
    out += fmt::format("{:%F %T}  {:9.1f} ms  {:9}  {:8}  shard {}  {}{}, {} bytes\n",
                       fmt::localtime(ended),
                       static_cast<double>(o.value("us", std::uint64_t{0})) / 1000,
                       printable(o.value("operation", "")), printable(o.value("outcome", "")),
                       o.value("shard", std::uint64_t{0}), printable(key), cut ? "..." : "",
                       o.value("value_bytes", std::uint64_t{0}));
  }
  return out;
}

int slow(Client& client, bool as_json) {
  const Result<std::string> text = client.run(client::ClientLoop::slow_log(client));
  if (!text.ok()) return fail(text.status());
  const nlohmann::ordered_json log = merged(parse_json<nlohmann::ordered_json>(*text));
  return print(as_json ? json_text(log, 2) + "\n" : slow_text(log));
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
