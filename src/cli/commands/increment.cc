#include <fmt/format.h>

#include <memory>

#include "base/parse_integer.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "layout/record.h"

namespace scalio::cli {
namespace {

struct IncrementFlags {
  ClientFlags client;
  std::string key;
  std::string by = "1";
};

int increment(const IncrementFlags& flags) {
  const std::optional<std::int64_t> by = parse_integer(flags.by);
  if (!by) return fail({Code::invalid, fmt::format("'{}' is no number of 64 bits", flags.by)});
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<Incremented> done = (*client)->run((*client)->increment(flags.key, *by));
  if (done.ok()) return print(fmt::format("{}\n", done->value));
  const int status =
      fail({done.code(), fmt::format("increment '{}': {}", flags.key, done.status().to_string())});
  // With a key that can be one it is the value that is wrong, and not how this was called.
  const bool possible_key = !flags.key.empty() && flags.key.size() <= layout::kMaxKey;
  return done.code() == Code::invalid && possible_key ? kFailure : status;
}

}  // namespace

Subcommand add_increment(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("increment", "Add to the number that a key has, durably");
  auto flags = std::make_shared<IncrementFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  app->add_option("BY", flags->by, "How much; less than 0 after --")->capture_default_str();
  flags->client.add_to(*app);
  app->footer(
      "Prints the sum. The value is a decimal number of 64 bits; a key that does not exist is "
      "0. Exit status 3 if it is no such number, or the sum is none.\n\n"
      "Examples:\n"
      "  scalio increment --server unix:/run/scalio.sock visits\n"
      "  scalio increment --server unix:/run/scalio.sock -- stock -3");
  return {app, [flags] { return increment(*flags); }};
}

}  // namespace scalio::cli
