#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/scan_store.h"

namespace scalio::cli {
namespace {

struct CountFlags {
  ClientFlags client;
  std::string prefix;
  bool json = false;
  bool quiet = false;
};

int count(const CountFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  ProgressLine progress(flags.quiet);
  std::uint64_t records = 0, bytes = 0;
  const auto take = [&](ScanRange, const ScanPage& page) -> Task<Status> {
    for (const ScannedRecord& record : page.records) {
      if (!record.key.starts_with(flags.prefix)) continue;
      ++records;
      bytes += record.key.size() + record.length;
    }
    co_return Status();
  };
  Status scanned = scan_store(**client, parts_of(**client), progress, "count", take);
  progress.finish();
  if (!scanned.ok()) return fail(scanned);
  const nlohmann::ordered_json json = {{"records", records}, {"bytes", bytes}};
  return print(flags.json ? json_text(json) + "\n" : fmt::format("{}\n", records));
}

}  // namespace

Subcommand add_count(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("count", "Count the records");
  auto flags = std::make_shared<CountFlags>();
  flags->client.add_to(*app);
  app->add_option("--prefix", flags->prefix, "Only keys that begin so; all are read nevertheless");
  app->add_flag("--json", flags->json, "As JSON: records, and the bytes of their keys and values");
  app->add_flag("--quiet", flags->quiet, "No progress");
  app->footer(
      "Reads the SSDs, all of them, and costs the server no CPU. What is written or deleted "
      "meanwhile counts, or not.\n\n"
      "Examples:\n"
      "  scalio count --server unix:/run/scalio.sock\n"
      "  scalio count --server tcp:10.0.0.2:7000 --prefix user --json");
  return {app, [flags] { return count(*flags); }};
}

}  // namespace scalio::cli
