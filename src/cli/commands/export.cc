#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "archive/archive_writer.h"
#include "archive/scan_ranges.h"
#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/scan_store.h"
#include "layout/superblock.h"

namespace scalio::cli {
namespace {

using archive::ArchiveWriter;

struct ExportFlags {
  ClientFlags client;
  std::string path;
  bool resume = false;
  bool json = false;
  bool quiet = false;
};

Result<layout::Uuid> uuid_of(Client& client) {
  const Result<std::string> text = client.run(client.stat());
  if (!text.ok()) return text.status();
  const auto json = parse_json(*text);
  const auto* const field = json.is_object() && json.contains("uuid")
                                ? json["uuid"].get_ptr<const std::string*>()
                                : nullptr;
  const auto uuid = layout::parse_uuid(field != nullptr ? *field : "");
  if (!uuid) return Status(Code::corrupt, "the server does not say which store it has");
  return *uuid;
}

Result<std::unique_ptr<ArchiveWriter>> writer_for(const ExportFlags& flags,
                                                  const layout::Uuid& uuid) {
  return flags.resume ? ArchiveWriter::resume(flags.path, uuid)
                      : ArchiveWriter::create(flags.path, uuid);
}

int export_store(const ExportFlags& flags) {
  if (flags.resume && flags.path == "-")
    return fail({Code::invalid, "--resume: what was written to a pipe cannot be gone on with"});
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<layout::Uuid> uuid = uuid_of(**client);
  if (!uuid.ok()) return fail(uuid.status());
  Result<std::unique_ptr<ArchiveWriter>> writer = writer_for(flags, *uuid);
  if (!writer.ok()) return fail(writer.status());
  ProgressLine progress(flags.quiet);
  const auto take = [&](ScanRange part, const ScanPage& page) {
    return (*writer)->add(part, page.records);
  };
  Status s = scan_store(**client, archive::missing(parts_of(**client), (*writer)->had()), progress,
                        "export", take);
  if (s.ok()) s = (*writer)->finish();
  progress.finish();
  if (!s.ok()) return fail(s);
  if (flags.path == "-") return kSuccess;
  const archive::Total& total = (*writer)->total();
  const nlohmann::ordered_json json = {
      {"records", total.records}, {"bytes", total.bytes}, {"archive_bytes", (*writer)->size()}};
  return print(flags.json ? json_text(json) + "\n"
                          : fmt::format("{} records, {} bytes, in {} bytes\n", total.records,
                                        total.bytes, (*writer)->size()));
}

}  // namespace

Subcommand add_export(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("export", "Write all records to an archive");
  auto flags = std::make_shared<ExportFlags>();
  app->add_option("FILE", flags->path, "The archive, a new file; - for stdout")->required();
  flags->client.add_to(*app);
  app->add_flag("--resume", flags->resume, "Go on with an export to FILE that was interrupted");
  app->add_flag("--json", flags->json, "Print what was written as JSON");
  app->add_flag("--quiet", flags->quiet, "No progress");
  app->footer(
      "The store serves meanwhile, reads and writes. What exists all the time is in the archive; "
      "what is written or deleted meanwhile, perhaps. docs/formats.md says what an archive is.\n\n"
      "Examples:\n"
      "  scalio export --server unix:/run/scalio.sock store.scalio\n"
      "  scalio export --server tcp:10.0.0.1:7000 - | ssh backup 'cat >store.scalio'\n"
      "  scalio export --server tcp:10.0.0.1:7000 - | scalio import --server tcp:10.0.0.2:7000 -");
  return {app, [flags] { return export_store(*flags); }};
}

}  // namespace scalio::cli
