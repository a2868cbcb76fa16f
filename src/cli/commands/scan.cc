#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/expiry_flags.h"
#include "cli/json_bytes.h"
#include "cli/scan_store.h"
#include "cli/value_memory.h"
#include "client/client_loop.h"
#include "client/value_within.h"
#include "task/blocking_thread.h"

namespace scalio::cli {
namespace {

struct ScanFlags {
  ClientFlags client;
  std::string prefix;
  bool keys_only = false;
  bool json = false;
  bool quiet = false;
};

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
  if (record.end != EndTime()) json["end_ms"] = end_ms(record.end);
  return json_text(json) + "\n";
}

// Prints the records of a store as they come.
class RecordPrinter {
 public:
  RecordPrinter(Client& client, BlockingThread& printing, const ScanFlags& flags)
      : client_(client),
        printing_(printing),
        flags_(flags),
        memory_(client::ClientLoop::of(client)) {}

  Task<Status> take(const ScanPage& page) {
    std::string lines;
    for (const ScannedRecord& record : page.records) {
      if (!record.key.starts_with(flags_.prefix)) continue;
      if (!record.large || flags_.keys_only) {
        lines += line_of(record, flags_);
        continue;
      }
      Status s = co_await print_large(record);
      if (!s.ok()) co_return s;
    }
    co_return co_await print_in_turn([&] { return std::move(lines); });
  }
  // Once all that was taken has been printed, or has failed.
  int printed() const { return printed_; }

 private:
  // One that was deleted meanwhile is left out.
  Task<Status> print_large(const ScannedRecord& record) {
    for (std::uint64_t length = record.length;;) {
      const ValueMemory::Room room = co_await memory_.room(length);
      const Result<Record> found =
          co_await client::get_within(client_, record.key, client::at_most(length));
      if (found.code() == Code::too_large) continue;  // it is longer by now
      if (found.code() == Code::not_found) co_return Status();
      if (!found.ok()) co_return found.status();
      // A line only when it is printed: it is longer than its value.
      co_return co_await print_in_turn([&] {
        return line_of({record.key, found->value, found->version, found->end}, flags_);
      });
    }
  }
  // Who reads the lines may take longer than the reads that are under way have time.
  template <class F>
  Task<Status> print_in_turn(F lines) {
    const int printed = co_await printing_.run([&] {
      if (printed_ == kSuccess) printed_ = print(lines());
      return printed_;
    });
    co_return printed == kSuccess ? Status() : Status(Code::io_error, "stdout");
  }

  Client& client_;
  BlockingThread& printing_;
  const ScanFlags& flags_;
  ValueMemory memory_;
  int printed_ = kSuccess;  // the thread's
};

int scan(const ScanFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<std::unique_ptr<BlockingThread>> printing =
      BlockingThread::start(client::ClientLoop::of(**client), "scalio-print");
  if (!printing.ok()) return fail(printing.status());
  // On a terminal the records themselves show how it goes.
  ProgressLine progress(flags.quiet || ::isatty(STDOUT_FILENO) == 1);
  RecordPrinter printer(**client, **printing, flags);
  const auto take = [&](ScanRange, const ScanPage& page) { return printer.take(page); };
  Status scanned = scan_store(**client, parts_of(**client), progress, "scan", take);
  progress.finish();
  if (printer.printed() != kSuccess) return printer.printed();
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
                "A JSON object a line: key, value, version, end_ms if it ends; as key_base64 or "
                "value_base64 what is not UTF-8");
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
