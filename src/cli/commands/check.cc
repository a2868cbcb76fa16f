#include "store/verify.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress_line.h"

namespace scalio::cli {
namespace {

struct CheckFlags {
  std::string dir;
  bool json = false;
  storage::VerifyOptions options;
};

int check(const CheckFlags& flags) {
  ProgressLine progress(flags.json);
  Result<storage::VerifyReport> report = storage::verify_store(
      flags.dir, [&](double fraction) { progress.update("check", fraction, ""); }, flags.options);
  progress.finish();
  if (!report.ok()) return fail(report.status());
  std::string out;
  if (flags.json) {
    nlohmann::ordered_json json = {{"buckets_read", report->buckets_read},
                                   {"records", report->records},
                                   {"record_bytes", report->record_bytes},
                                   {"values", report->values},
                                   {"value_bytes", report->value_bytes},
                                   {"log_records", report->log_records},
                                   {"log_batches", report->log_batches},
                                   {"full", report->full},
                                   {"problems", report->problems},
                                   {"repaired", report->repaired},
                                   {"notes", report->notes}};
    out = json_text(json, 2) + "\n";
  } else {
    out = fmt::format(
        "{} records ({} bytes) in {} buckets, {:.1f} % full\n"
        "{} values ({} bytes) in the value log\n"
        "{} records in {} batches of the log\n",
        report->records, report->record_bytes, report->buckets_read, report->full * 100,
        report->values, report->value_bytes, report->log_records, report->log_batches);
    for (const std::string& note : report->notes) out += "note: " + printable(note) + "\n";
    for (const std::string& repaired : report->repaired)
      out += "repaired: " + printable(repaired) + "\n";
    for (const std::string& problem : report->problems)
      out += "problem: " + printable(problem) + "\n";
  }
  const int printed = print(out);
  const std::size_t n = report->problems.size();
  if (n == 0 || printed != kSuccess) return printed;
  return fail(
      {Code::corrupt, fmt::format("{}: {} problem{} found", flags.dir, n, n == 1 ? "" : "s")});
}

}  // namespace

Subcommand add_check(CLI::App& parent) {
  CLI::App* app =
      parent.add_subcommand("check", "Verify every checksum of a store that is not being served");
  auto flags = std::make_shared<CheckFlags>();
  app->add_option("DIR", flags->dir, "The store's directory")->required();
  app->add_flag(
      "--repair", flags->options.repair,
      "Write a superblock that is lost anew, from its other copy; nothing else can be repaired");
  app->add_flag("--json", flags->json, "Print the report as JSON");
  app->footer(
      "Reads the whole store; without --repair it changes nothing, and may do so on a read-only "
      "file "
      "system.\n"
      "Exit status 0: nothing is damaged, or all of it was repaired; 2: no store that can be read "
      "is there; "
      "3: "
      "there is damage, or the store is in use.\n\n"
      "Examples:\n"
      "  scalio check /var/lib/scalio\n"
      "  scalio check /var/lib/scalio --repair");
  return {app, [flags] { return check(*flags); }};
}

}  // namespace scalio::cli
