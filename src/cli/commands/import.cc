#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "archive/archive_reader.h"
#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/record_feed.h"
#include "cli/value_memory.h"
#include "client/client_loop.h"
#include "task/blocking_thread.h"

namespace scalio::cli {
namespace {

using archive::ArchiveReader;

struct ImportFlags {
  ClientFlags client;
  std::string path;
  bool if_absent = false;
  bool json = false;
  bool quiet = false;
};

// Puts the records of an archive, many at a time.
class StoreImport {
 public:
  StoreImport(Client& client, ArchiveReader& reader, BlockingThread& reading,
              ProgressLine& progress, bool if_absent)
      : client_(client),
        reader_(reader),
        reading_(reading),
        progress_(progress),
        if_absent_(if_absent),
        memory_(client::ClientLoop::of(client)),
        feed_(
            client::ClientLoop::of(client), [this] { return next_chunk(); }, memory_) {}

  Status run() {
    for (int i = 0; i < kAtOnce; ++i) client_.spawn(work());
    client_.wait_all();
    return failed_;
  }
  std::uint64_t put() const { return put_; }
  std::uint64_t skipped() const { return skipped_; }

 private:
  static constexpr int kAtOnce = 512;

  // Who writes the pipe may take longer than the puts that are under way have time.
  Task<Result<std::optional<archive::Chunk>>> next_chunk() {
    Result<std::optional<archive::Chunk>> chunk =
        co_await reading_.run([this] { return reader_.next(); });
    position_ = reader_.position();
    co_return chunk;
  }

  Task<void> work() {
    while (failed_.ok()) {
      const Result<std::optional<RecordFeed::Fed>> fed = co_await feed_.next();
      if (!fed.ok() && failed_.ok()) failed_ = fed.status();
      if (!fed.ok() || !*fed) co_return;
      show();
      const ScannedRecord& record = (*fed)->record;
      const Expiry expiry = record.end == EndTime() ? Expiry::never() : Expiry::at(record.end);
      Task<Result<std::uint64_t>> put = if_absent_
                                            ? client_.put_if(record.key, record.value, 0, expiry)
                                            : client_.put(record.key, record.value, expiry);
      const Result<std::uint64_t> done = co_await std::move(put);
      if (done.ok()) {
        ++put_;
      } else if (if_absent_ && done.code() == Code::conflict) {
        ++skipped_;
      } else if (failed_.ok()) {
        failed_ = Status(done.code(), fmt::format("put '{}': {}; {} records are in, and importing "
                                                  "the archive again puts them once more",
                                                  record.key, done.status().to_string(), put_));
      }
    }
  }

  // At each chunk: it is called for each record.
  void show() {
    if (std::exchange(shown_, position_) == position_) return;
    constexpr double kMiB = 1 << 20;
    const auto at = static_cast<double>(position_);
    if (reader_.size() > 0) {
      progress_.update("import", at / static_cast<double>(reader_.size()),
                       fmt::format("{} records", put_));
    } else {
      progress_.update("import", fmt::format("{:.1f} MiB, {} records", at / kMiB, put_));
    }
  }

  Client& client_;
  ArchiveReader& reader_;
  BlockingThread& reading_;
  ProgressLine& progress_;
  const bool if_absent_;
  ValueMemory memory_;
  RecordFeed feed_;
  std::uint64_t position_ = 0;  // of the reader, behind the chunk that came last
  std::uint64_t shown_ = 0;     // the position of which the progress tells
  std::uint64_t put_ = 0, skipped_ = 0;
  Status failed_;
};

int import_store(const ImportFlags& flags) {
  Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::open(flags.path);
  if (reader.code() == Code::not_found) return fail({Code::invalid, reader.status().message()});
  if (!reader.ok()) return fail(reader.status());
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const Result<std::unique_ptr<BlockingThread>> reading =
      BlockingThread::start(client::ClientLoop::of(**client), "scalio-read");
  if (!reading.ok()) return fail(reading.status());
  ProgressLine progress(flags.quiet);
  StoreImport import(**client, **reader, **reading, progress, flags.if_absent);
  const Status s = import.run();
  progress.finish();
  if (!s.ok()) return fail(s);
  const nlohmann::ordered_json json = {{"records", import.put()}, {"skipped", import.skipped()}};
  return print(flags.json
                   ? json_text(json) + "\n"
                   : fmt::format("{} records put, {} skipped\n", import.put(), import.skipped()));
}

}  // namespace

Subcommand add_import(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("import", "Put all records of an archive");
  auto flags = std::make_shared<ImportFlags>();
  app->add_option("FILE", flags->path, "The archive; - for stdin")->required();
  flags->client.add_to(*app);
  app->add_flag("--if-absent", flags->if_absent, "Skip records whose key is there already");
  app->add_flag("--json", flags->json, "Print what was done as JSON");
  app->add_flag("--quiet", flags->quiet, "No progress");
  app->footer(
      "Into any store that takes values of their size. Each record is a put: keys that are there "
      "get the archive's values, unless --if-absent is given. It may be run again "
      "after a failure. An archive whose export was interrupted is put as far as it goes, and that "
      "is then said to be a failure.\n\n"
      "Examples:\n"
      "  scalio import --server unix:/run/scalio.sock store.scalio\n"
      "  ssh backup 'cat store.scalio' | scalio import --server tcp:10.0.0.2:7000 --if-absent -");
  return {app, [flags] { return import_store(*flags); }};
}

}  // namespace scalio::cli
