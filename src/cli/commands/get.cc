#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"

namespace scalio::cli {
namespace {

struct GetFlags {
  ClientFlags client;
  std::string key;
  bool json = false;
};

// A value that is not UTF-8 has no JSON form.
nlohmann::json value_or_null(const std::string& value) {
  nlohmann::json json = value;
  return nlohmann::json::parse(json_text(json)) == json ? json : nlohmann::json();
}

int get(const GetFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  Result<Record> record = (*client)->run((*client)->get(flags.key));
  if (record.code() == Code::not_found)
    return fail({Code::not_found, fmt::format("no key '{}'", flags.key)});
  if (!record.ok()) return fail(record.status());
  std::string out = record->value;
  if (flags.json) {
    nlohmann::ordered_json json = {{"key", value_or_null(flags.key)},
                                   {"value", value_or_null(record->value)},
                                   {"bytes", record->value.size()},
                                   {"version", record->version}};
    out = json_text(json) + "\n";
  }
  return print(out);
}

}  // namespace

Subcommand add_get(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("get", "Print the value of a key");
  auto flags = std::make_shared<GetFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  flags->client.add_to(*app);
  app->add_flag("--json", flags->json,
                "Print key, value (null if it is not UTF-8), its size in bytes and its version");
  app->footer(
      "Prints the value's bytes and nothing else. Exit status 1 if there is no such key.\n\n"
      "Examples:\n"
      "  scalio get --server unix:/run/scalio.sock user42\n"
      "  scalio get --server tcp:10.0.0.2:7000 --json user42      with its version, for put "
      "--if-version");
  return {app, [flags] { return get(*flags); }};
}

}  // namespace scalio::cli
