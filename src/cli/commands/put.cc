#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/expiry_flags.h"
#include "cli/size.h"
#include "cli/transfer_progress.h"
#include "layout/record.h"

namespace scalio::cli {
namespace {

struct PutFlags {
  ClientFlags client;
  ExpiryFlags expiry;
  std::string key;
  std::string value;
  std::optional<std::uint64_t> if_version;
  bool json = false;
};

// What is still to come of stdin, if that is known: of a file.
std::optional<std::uint64_t> size_of_stdin() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const off_t at = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
  if (at < 0 || at > status.st_size) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size - at);
}

// What stdin holds, or its first `most` bytes.
Result<std::string> read_stdin(std::size_t most) {
  constexpr std::size_t kStep = 1 << 20;
  std::string in;
  while (in.size() < most) {
    const std::size_t before = in.size(), step = std::min(kStep, most - before);
    in.resize(before + step);
    const std::size_t read = std::fread(in.data() + before, 1, step, stdin);
    in.resize(before + read);
    if (read < step) break;
  }
  if (std::ferror(stdin)) return {Code::io_error, "cannot read the value from stdin"};
  return in;
}

// Sends a file as it is read, so that it need not fit the memory.
Result<std::uint64_t> put_file(Client& client, const PutFlags& flags, std::uint64_t length) {
  TransferProgress progress("put");
  std::uint64_t done = 0;
  const PartSource source = [&](std::span<char> part) -> Task<Status> {
    if (std::fread(part.data(), 1, part.size(), stdin) != part.size()) {
      co_return Status(Code::io_error, std::ferror(stdin)
                                           ? "cannot read the value from stdin"
                                           : "the file became shorter while it was read");
    }
    done += part.size();
    progress.update(done, length);
    co_return Status();
  };
  const Expiry expiry = flags.expiry.expiry();
  Result<std::uint64_t> version = client.run(
      flags.if_version ? client.put_parts_if(flags.key, length, source, *flags.if_version, expiry)
                       : client.put_parts(flags.key, length, source, expiry));
  progress.finish();
  return version;
}

// As the value stands on the command line, or what a pipe holds.
Result<std::uint64_t> put_text(Client& client, const PutFlags& flags, std::string_view value) {
  const Expiry expiry = flags.expiry.expiry();
  return client.run(flags.if_version ? client.put_if(flags.key, value, *flags.if_version, expiry)
                                     : client.put(flags.key, value, expiry));
}

Result<std::uint64_t> put_stdin(Client& client, const PutFlags& flags) {
  if (const std::optional<std::uint64_t> size = size_of_stdin()) {
    return put_file(client, flags, *size);
  }
  const std::size_t limit = client.value_limit(flags.key.size());
  const Result<std::string> in = read_stdin(limit + 1);
  if (!in.ok()) return in.status();
  if (in->size() > limit) {
    return {Code::too_large,
            fmt::format("the value has more than the {} bytes that the store takes", limit)};
  }
  return put_text(client, flags, *in);
}

int put(const PutFlags& flags) {
  Result<std::unique_ptr<Client>> connected = flags.client.connect();
  if (!connected.ok()) return fail(connected.status());
  Client& client = **connected;
  // A key that cannot be one is refused first, by the client.
  const bool possible_key = !flags.key.empty() && flags.key.size() <= layout::kMaxKey;
  const Result<std::uint64_t> version = flags.value == "-" && possible_key
                                            ? put_stdin(client, flags)
                                            : put_text(client, flags, flags.value);
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
  flags->expiry.add_to(*app);
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
