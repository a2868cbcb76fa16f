#include <sodium.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/scan_store.h"

namespace scalio::cli {
namespace {

struct ScanFlags {
  ClientFlags client;
  std::string prefix;
  bool keys_only = false;
  bool json = false;
  bool quiet = false;
};

// JSON holds UTF-8: what is not is there as NAME_base64.
void add_bytes(nlohmann::ordered_json& json, const std::string& name, std::string_view bytes) {
  nlohmann::json text = bytes;
  if (parse_json(json_text(text)) == text) {
    json[name] = bytes;
    return;
  }
  std::string base64(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(base64.data(), base64.size(),
                    reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  base64.pop_back();  // the zero at its end
  json[name + "_base64"] = base64;
}

std::string line_of(const ScannedRecord& record, const ScanFlags& flags) {
  if (!flags.json) {
    std::string line = printable(record.key);
    if (!flags.keys_only) line += "\t" + printable(record.value);
    return line + "\n";
  }
  nlohmann::ordered_json json;
  add_bytes(json, "key", record.key);
  if (!flags.keys_only) add_bytes(json, "value", record.value);
  json["version"] = record.version;
  return json_text(json) + "\n";
}

int scan(const ScanFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  // On a terminal the records themselves show how it goes.
  ProgressLine progress(flags.quiet || ::isatty(STDOUT_FILENO) == 1);
  int printed = kSuccess;
  const auto take = [&](ScanRange, const ScanPage& page) {
    std::string lines;
    for (const ScannedRecord& record : page.records) {
      if (record.key.starts_with(flags.prefix)) lines += line_of(record, flags);
    }
    printed = print(lines);
    return printed == kSuccess ? Status() : Status(Code::io_error, "stdout");
  };
  Status scanned = scan_store(**client, parts_of(**client), progress, "scan", take);
  progress.finish();
  if (printed != kSuccess) return printed;
  return scanned.ok() ? kSuccess : fail(scanned);
}

}  // namespace

Subcommand add_scan(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("scan", "Print all records, or their keys");
  auto flags = std::make_shared<ScanFlags>();
  flags->client.add_to(*app);
  app->add_option("--prefix", flags->prefix, "Only keys that begin so; all are read nevertheless");
  app->add_flag("--keys-only", flags->keys_only, "No values");
  app->add_flag("--json", flags->json,
                "A JSON object a line: key, value, version; as key_base64 or value_base64 what is "
                "not UTF-8");
  app->add_flag("--quiet", flags->quiet, "No progress");
  app->footer(
      "A line for each record, in no order: the key, a tab, the value, with what is not printable "
      "as \\xNN. What exists all the time is printed once; what is written or deleted meanwhile, "
      "perhaps. Reads the SSDs and costs the server no CPU.\n\n"
      "Examples:\n"
      "  scalio scan --server unix:/run/scalio.sock --keys-only --prefix user\n"
      "  scalio scan --server tcp:10.0.0.2:7000 --json >records.jsonl");
  return {app, [flags] { return scan(*flags); }};
}

}  // namespace scalio::cli
