#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/size.h"
#include "layout/record.h"

namespace scalio::cli {
namespace {

struct PutFlags {
  ClientFlags client;
  std::string key;
  std::string value;
  std::optional<std::uint64_t> if_version;
  bool json = false;
};

// What stdin holds, or its first `most` bytes.
Result<std::string> read_stdin(std::size_t most) {
  std::string in(most, '\0');
  in.resize(std::fread(in.data(), 1, in.size(), stdin));
  if (std::ferror(stdin)) return {Code::io_error, "cannot read the value from stdin"};
  return in;
}

int put(PutFlags& flags) {
  Result<std::unique_ptr<Client>> connected = flags.client.connect();
  if (!connected.ok()) return fail(connected.status());
  Client& client = **connected;
  // A key that cannot be one is refused first, by the client.
  const bool possible_key = !flags.key.empty() && flags.key.size() <= layout::kMaxKey;
  if (flags.value == "-" && possible_key) {
    const std::size_t limit = client.inline_limit();
    Result<std::string> in = read_stdin(limit + 1);
    if (!in.ok()) return fail(in.status());
    if (in->size() > limit) {
      return fail(
          {Code::too_large,
           fmt::format(
               "put '{}': the value has more than the {} bytes that the store takes for key "
               "and value; format one with a larger --inline-limit",
               flags.key, limit)});
    }
    flags.value = *std::move(in);
  }
  Result<std::uint64_t> version =
      client.run(flags.if_version ? client.put_if(flags.key, flags.value, *flags.if_version)
                                  : client.put(flags.key, flags.value));
  if (!version.ok()) {
    return fail(
        {version.code(), fmt::format("put '{}': {}", flags.key, version.status().to_string())});
  }
  return flags.json ? print(json_text(nlohmann::json{{"version", *version}}) + "\n") : kSuccess;
}

}  // namespace

Subcommand add_put(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("put", "Set the value of a key, durably");
  auto flags = std::make_shared<PutFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  app->add_option("VALUE", flags->value, "The value, or - to read it from stdin")->required();
  flags->client.add_to(*app);
  as_count(app->add_option("--if-version", flags->if_version,
                           "Only if this is the key's version; 0: only if there is no such key"));
  app->add_flag("--json", flags->json, "Print the new version");
  app->footer(
      "Exit status 3 if the key's version is not that of --if-version.\n\n"
      "Examples:\n"
      "  scalio put --server unix:/run/scalio.sock user42 hello\n"
      "  scalio put --server unix:/run/scalio.sock user42 - < picture.png\n"
      "  scalio put --server unix:/run/scalio.sock --if-version 0 user42 hello      must be new\n"
      "  scalio put --server unix:/run/scalio.sock -- -key- -value-                 with a dash in "
      "front");
  return {app, [flags] { return put(*flags); }};
}

}  // namespace scalio::cli
