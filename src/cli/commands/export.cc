#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "archive/archive_writer.h"
#include "archive/scan_ranges.h"
#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/scan_store.h"
#include "cli/value_memory.h"
#include "client/client_loop.h"
#include "client/record_end.h"
#include "client/value_within.h"
#include "layout/scan_place.h"
#include "layout/superblock.h"
#include "server/store_at_rest.h"
#include "task/blocking_thread.h"
#include "task/wait_group.h"

namespace scalio::cli {
namespace {

using archive::ArchiveWriter;

struct ExportFlags {
  ClientFlags client;
  std::string path;
  std::string offline;  // the directory of a store; empty: a server is asked
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
  if (!flags.resume) return ArchiveWriter::create(flags.path, uuid);
  Result<std::unique_ptr<ArchiveWriter>> writer = ArchiveWriter::resume(flags.path, uuid);
  // Not as of a key that is not there.
  if (writer.code() != Code::not_found) return writer;
  return Status(Code::invalid,
                fmt::format("{}; without --resume an export is begun", writer.status().message()));
}

// Adds the records of a store to an archive as they come.
class RecordExport {
 public:
  RecordExport(Client& client, ArchiveWriter& writer, BlockingThread& writing)
      : client_(client),
        writer_(writer),
        writing_(writing),
        memory_(client::ClientLoop::of(client)) {}

  // Large values first, in chunks that are no part of the store by themselves: the page's own chunk
  // says that all of its records are there.
  Task<Status> take(ScanRange part, const ScanPage& page) {
    std::vector<ScannedRecord> small, large;
    std::uint64_t bytes = 0;
    for (const ScannedRecord& record : page.records) {
      if (!record.large) {
        small.push_back(record);
        continue;
      }
      const bool full = bytes + record.length > kAtOnce || large.size() == kMostAtOnce;
      if (full && !large.empty()) {
        Status s = co_await add_large(part, std::exchange(large, {}));
        if (!s.ok()) co_return s;
        bytes = 0;
      }
      large.push_back(record);
      bytes += record.length;
    }
    Status s;
    if (!large.empty()) s = co_await add_large(part, std::move(large));
    if (!s.ok()) co_return s;
    co_return co_await add(part, small);
  }

 private:
  static constexpr std::uint64_t kAtOnce = 16 << 20;  // bytes of values, or one that has more
  static constexpr std::size_t kMostAtOnce = 256;     // values, of each page that is under way

  // First all together, then one by one those that are longer by now than they were found.
  Task<Status> add_large(ScanRange part, std::vector<ScannedRecord> records) {
    const ScanRange none{part.begin, part.begin};
    std::vector<ScannedRecord> longer;
    Status s = co_await add_values(none, std::move(records), longer);
    while (s.ok() && !longer.empty()) {
      std::vector<ScannedRecord> one(1, longer.back());
      longer.pop_back();
      s = co_await add_values(none, std::move(one), longer);
    }
    co_return s;
  }

  // Those that were deleted meanwhile are left out; those that there is no room for are in `longer`
  // then, with their length.
  Task<Status> add_values(ScanRange none, std::vector<ScannedRecord> records,
                          std::vector<ScannedRecord>& longer) {
    std::uint64_t bytes = 0;
    for (const ScannedRecord& record : records) bytes += record.length;
    const ValueMemory::Room room = co_await memory_.room(bytes);
    std::vector<Result<Record>> found(records.size(), Status(Code::unavailable, "not asked"));
    WaitGroup group(client::ClientLoop::of(client_));
    const auto get = [this](ScannedRecord* record, Result<Record>* out) -> Task<void> {
      *out = co_await client::get_within(client_, record->key, client::at_most(record->length));
    };
    for (std::size_t i = 0; i < records.size(); ++i) group.spawn(get(&records[i], &found[i]));
    co_await group.wait();
    std::vector<ScannedRecord> chunk;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (found[i].code() == Code::not_found) continue;
      if (found[i].code() == Code::too_large) {
        longer.push_back(records[i]);
        continue;
      }
      if (!found[i].ok()) co_return found[i].status();
      chunk.push_back({records[i].key, found[i]->value, found[i]->version, found[i]->end});
    }
    if (chunk.empty()) co_return Status();
    co_return co_await add(none, chunk);
  }

  // Who reads the pipe may take longer than the reads that are under way have time.
  Task<Status> add(ScanRange range, std::span<const ScannedRecord> records) {
    co_return co_await writing_.run([&] { return writer_.add(range, records); });
  }

  Client& client_;
  ArchiveWriter& writer_;
  BlockingThread& writing_;
  ValueMemory memory_;
};

// What was written; `more` stands behind it, for programs.
int print_written(const ExportFlags& flags, const ArchiveWriter& writer,
                  const nlohmann::ordered_json& more = nlohmann::ordered_json::object()) {
  if (flags.path == "-") return kSuccess;
  const archive::Total& total = writer.total();
  nlohmann::ordered_json json = {{"records", total.records},
                                 {"bytes", total.bytes},
                                 {"archive_bytes", writer.size()},
                                 {"written_again", writer.again()}};
  json.update(more);
  const std::string again =
      writer.again() == 0 ? "" : fmt::format(" ({} of them written again)", writer.again());
  return print(flags.json ? json_text(json) + "\n"
                          : fmt::format("{} records{}, {} bytes, in {} bytes\n", total.records,
                                        again, total.bytes, writer.size()));
}

int export_online(const ExportFlags& flags) {
  if (flags.resume && flags.path == "-")
    return fail({Code::invalid, "--resume: what was written to a pipe cannot be gone on with"});
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<layout::Uuid> uuid = uuid_of(**client);
  if (!uuid.ok()) return fail(uuid.status());
  Result<std::unique_ptr<ArchiveWriter>> writer = writer_for(flags, *uuid);
  if (!writer.ok()) return fail(writer.status());
  const Result<std::unique_ptr<BlockingThread>> writing =
      BlockingThread::start(client::ClientLoop::of(**client), "scalio-write");
  if (!writing.ok()) return fail(writing.status());
  ProgressLine progress(flags.quiet);
  RecordExport records(**client, **writer, **writing);
  const auto take = [&](ScanRange part, const ScanPage& page) { return records.take(part, page); };
  Status s = scan_store(**client, archive::missing(parts_of(**client), (*writer)->had()), progress,
                        "export", take);
  if (s.ok()) s = (*writer)->finish();
  progress.finish();
  if (!s.ok()) return fail(s);
  return print_written(flags, **writer);
}

int tell_of_damage(const ExportFlags& flags, const server::StoreAtRest& store) {
  for (const std::string& note : store.notes()) say("note: " + note);
  const storage::Findings& damage = store.damage();
  if (damage.empty()) return kSuccess;
  for (const std::string& what : damage.named()) say("damage: " + what);
  if (damage.more() > 0) say(fmt::format("damage: {} more of these", damage.more()));
  say(fmt::format("{}: damaged, and all that is intact is in the archive", flags.offline));
  return kDamaged;
}

int export_offline(const ExportFlags& flags) {
  Result<std::unique_ptr<server::StoreAtRest>> store = server::StoreAtRest::open(flags.offline);
  if (!store.ok()) return fail(store.status());
  Result<std::unique_ptr<ArchiveWriter>> writer =
      ArchiveWriter::create(flags.path, (*store)->uuid());
  if (!writer.ok()) return fail(writer.status());
  ProgressLine progress(flags.quiet);
  std::vector<ScannedRecord> records;
  const auto take = [&](layout::ScanPlace first, layout::ScanPlace end,
                        const server::StoredPart& part) {
    records.clear();
    for (const layout::RecordView& r : part.records)
      records.push_back({r.key, r.value, r.version, client::end_of(r.end)});
    // Nobody takes a part for had of which something is missing, or elsewhere in the archive.
    return (*writer)->add({first.pack(), part.whole ? end.pack() : first.pack()}, records);
  };
  const auto tell = [&](double done) {
    progress.update("export", done, fmt::format("{} records", (*writer)->total().records));
  };
  Status s = (*store)->read(take, tell);
  if (s.ok()) s = (*writer)->finish();
  progress.finish();
  if (!s.ok()) return fail(s);
  const storage::Findings& damage = (*store)->damage();
  const int printed = print_written(
      flags, **writer,
      {{"damage", damage.named()}, {"more_damage", damage.more()}, {"notes", (*store)->notes()}});
  const int damaged = tell_of_damage(flags, **store);
  return printed == kSuccess ? damaged : printed;
}

}  // namespace

Subcommand add_export(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("export", "Write all records to an archive");
  auto flags = std::make_shared<ExportFlags>();
  app->add_option("FILE", flags->path, "The archive, a new file; - for stdout")->required();
  flags->client.add_to(*app);
  CLI::Option* offline = app->add_option(
      "--offline", flags->offline,
      "Of a store that is not being served, in this directory; also of a damaged one");
  offline->type_name("DIR");
  // --server is not among them: it may be in the environment.
  for (const char* other : {"--ssd", "--ssd-access", "--block-read", "--timeout"})
    offline->excludes(app->get_option(other));
  app->callback([flags] {
    if (flags->offline.empty()) flags->client.check();
  });
  app->add_flag("--resume", flags->resume, "Go on with an export to FILE that was interrupted")
      ->excludes(offline);
  app->add_flag("--json", flags->json, "Print what was written as JSON");
  app->add_flag("--quiet", flags->quiet, "No progress");
  app->footer(
      "The store serves meanwhile, reads and writes. What exists all the time is in the archive; "
      "what is written or deleted meanwhile, perhaps. docs/formats.md says what an archive is.\n"
      "With --offline the archive has what a restarted server would serve, and the store is not "
      "changed; a read-only copy will do. Of a damaged store it has all that is intact; stderr "
      "says "
      "what is not. Exit status 4: there was damage; 3: the store is in use, or could not be read, "
      "or "
      "the archive not written.\n\n"
      "Examples:\n"
      "  scalio export --server unix:/run/scalio.sock store.scalio\n"
      "  scalio export --server tcp:10.0.0.1:7000 - | ssh backup 'cat >store.scalio'\n"
      "  scalio export --server tcp:10.0.0.1:7000 - | scalio import --server tcp:10.0.0.2:7000 -\n"
      "  scalio export --offline /var/lib/scalio store.scalio");
  return {app, [flags] {
            return flags->offline.empty() ? export_online(*flags) : export_offline(*flags);
          }};
}

}  // namespace scalio::cli
