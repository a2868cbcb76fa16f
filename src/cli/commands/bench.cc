#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/size.h"
#include "cli/stop_signals.h"
#include "ycsb/runner.h"

namespace scalio::cli {
namespace {

constexpr double kMostTtl = 9e9;  // seconds; what 64 bits of ns hold

struct BenchFlags {
  ClientFlags client;
  std::string workload;
  std::vector<std::string> properties;
  std::optional<unsigned> threads;
  std::optional<std::uint64_t> records;
  std::optional<std::uint64_t> operations;
  std::optional<std::uint64_t> value_size;
  double ttl = 0;
  std::string json;
  bool quiet = false;
  ycsb::BenchmarkOptions run;
};

// The file of --json. What is there stays until the new report is whole: it is written beside it
// and renamed.
class JsonFile {
 public:
  JsonFile() = default;
  JsonFile(const JsonFile&) = delete;
  JsonFile& operator=(const JsonFile&) = delete;
  ~JsonFile() {
    if (file_) std::fclose(file_);
    discard();
  }
  // What was begun is left nowhere. For a program that ends now, on any thread.
  void discard() const {
    if (written_to_ != path_) ::unlink(written_to_.c_str());
  }

  // Before the run, so that a path that cannot be written does not cost one.
  Status open(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    // A device or pipe has nothing to keep, and a pipe's name leads nowhere (/dev/fd/63).
    const bool there = fs::exists(path, error);
    const bool special = there && !fs::is_regular_file(path, error);
    path_ = special ? path : there ? fs::canonical(path, error).string() : where_it_leads(path);
    written_to_ = special ? path_ : path_ + ".part";
    file_ = std::fopen(written_to_.c_str(), "we");
    return file_ ? Status() : failure("create");
  }

  Status finish(const std::string& text) {
    bool written =
        std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0;
    // Else a power cut could leave neither the earlier file nor this one.
    if (written && written_to_ != path_) written = fsync(fileno(file_)) == 0;
    if (std::fclose(std::exchange(file_, nullptr)) != 0 || !written) return failure("write");
    if (written_to_ != path_ && std::rename(written_to_.c_str(), path_.c_str()) != 0)
      return failure("write");
    written_to_ = path_;
    return Status();
  }

 private:
  // The file to be made: that which a link names, where there is none yet.
  static std::string where_it_leads(std::filesystem::path path) {
    constexpr int kMostLinks = 40;  // as the kernel takes
    std::error_code error;
    for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(path, error); ++i) {
      path = path.parent_path() / std::filesystem::read_symlink(path, error);
    }
    return path.string();
  }
  Status failure(const char* what) const {
    return {Code::io_error, fmt::format("cannot {} {}: {}", what, path_, std::strerror(errno))};
  }

  std::string path_;
  std::string written_to_;
  std::FILE* file_ = nullptr;
};

// What the thread of the signals shares with the run, which it may outlive.
struct BenchStop {
  StopRequest request;
  std::atomic<bool> measuring = false;
  JsonFile json;
};

void show(ProgressLine& line, const ycsb::Progress& p) {
  const double rate = p.seconds > 0 ? static_cast<double>(p.done) / p.seconds : 0;
  std::string text = fmt::format("{:.0f} ops/s", rate);
  if (p.done < p.total && rate > 0)
    text += fmt::format(", {:.0f} s left", static_cast<double>(p.total - p.done) / rate);
  if (p.errors > 0) text += fmt::format(", {} errors", p.errors);
  line.update(p.phase, static_cast<double>(p.done) / static_cast<double>(p.total), text);
  if (p.done == p.total) line.finish();
}

int bench(BenchFlags& flags) {
  Result<ycsb::Workload> workload = ycsb::load_workload(flags.workload, flags.properties);
  // A file that is not there is bad use; exit status 1 is for keys.
  if (!workload.ok()) return fail({Code::invalid, workload.status().message()});
  if (flags.records) workload->records = *flags.records;
  if (flags.operations) workload->operations = *flags.operations;
  if (flags.value_size) workload->value_size = *flags.value_size;
  flags.run.ttl = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(flags.ttl));
  flags.run.threads = flags.threads.value_or(workload->threads.value_or(1));
  if (!flags.quiet) {
    for (const std::string& note : workload->notes) say("note: " + note);
  }
  flags.run.workload = *std::move(workload);
  flags.run.server = flags.client.server;
  flags.run.client = flags.client.options;

  if (flags.run.history == "-") {
    return fail({Code::invalid, "--history -: stdout is for the report; give a file"});
  }
  const bool json_to_stdout = flags.json == "-";
  auto stop = std::make_shared<BenchStop>();
  if (!flags.json.empty() && !json_to_stdout) {
    if (Status status = stop->json.open(flags.json); !status.ok()) return fail(status);
  }

  Status watched = on_stop_signal([stop](int signal) {
    if (!stop->measuring) {
      stop->json.discard();
      end_at_once(signal, "before anything was measured: ended at once");
    }
    stop->request.set(signal);
  });
  if (!watched.ok()) return fail(watched);
  flags.run.interrupted = &stop->request.asked;
  flags.run.measuring = &stop->measuring;
  ProgressLine line(flags.quiet);
  Result<ycsb::Report> report =
      ycsb::run(flags.run, [&line](const ycsb::Progress& p) { show(line, p); });
  line.finish();
  if (!report.ok()) return fail(report.status());
  const std::string as_json = ycsb::to_json(*report) + "\n";
  // The file first: who reads stdout may have gone, and SIGPIPE ends us.
  if (!flags.json.empty() && !json_to_stdout) {
    if (Status status = stop->json.finish(as_json); !status.ok()) return fail(status);
  }
  const int printed = print(json_to_stdout ? as_json : ycsb::to_table(*report));
  if (printed != kSuccess) return printed;
  if (!report->history.ok()) return fail(report->history);
  for (const std::optional<ycsb::Phase>* phase : {&report->load, &report->run}) {
    if (!*phase || (*phase)->stopped.empty()) continue;
    const int status = fail({Code::unavailable, "stopped early: " + (*phase)->stopped});
    return stop->request.asked ? kSignalled + stop->request.signal : status;
  }
  if (std::uint64_t n = ycsb::errors(*report); n > 0) {
    return fail({Code::unavailable,
                 fmt::format("{} operation{} ended in errors; the report counts them by kind", n,
                             n == 1 ? "" : "s")});
  }
  return kSuccess;
}

void add_workload_options(CLI::App* app, BenchFlags* flags) {
  app->add_option("--workload", flags->workload, "a, b, c, d or f, or a YCSB property file")
      ->type_name("LETTER|FILE")
      ->required();
  app->add_option("-p,--property", flags->properties,
                  "A property, as a line of the file would set it; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  as_count(app->add_option(
      "--records", flags->records,
      "Records that the store has, or --load writes; default: recordcount, or 1000000"));
  as_count(app->add_option("--operations", flags->operations,
                           "Operations to run; 0: none; default: operationcount, or 1000000"));
  app->add_flag("--load", flags->run.load,
                "First write all the records, with at least 256 in flight in each thread");
  as_count(app->add_option(
      "--threads", flags->threads,
      "Threads, each with a connection of its own; 1 to 1000; default: threadcount, or 1"));
  as_count(app->add_option("--depth", flags->run.depth,
                           "Operations that each thread keeps in flight; 1 to 1024"))
      ->capture_default_str();
  as_size(app->add_option("--key-size", flags->run.key_size,
                          "Bytes of a key: \"user\" and the record's number"))
      ->capture_default_str();
  as_size(app->add_option("--value-size", flags->value_size,
                          "Bytes of a value; default: fieldcount x fieldlength if set, or 64"));
  app->add_option("--ttl", flags->ttl, "Seconds that what is put lives; default: for ever")
      ->check(CLI::Range(0.001, kMostTtl));
  as_count(app->add_option("--seed", flags->run.seed,
                           "Equal seeds choose equal operations; give processes that run at one "
                           "time different ones"))
      ->capture_default_str();
}

}  // namespace

Subcommand add_bench_ycsb(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("ycsb", "Run a YCSB workload against a server");
  auto flags = std::make_shared<BenchFlags>();
  flags->client.add_to(*app);
  flags->client.add_spin_to(*app);
  add_workload_options(app, flags.get());
  app->add_option("--json", flags->json,
                  "Write the report to this file; - for stdout, instead of the table")
      ->type_name("FILE");
  app->add_option("--history", flags->run.history,
                  "Write every operation to this file, a JSON line each")
      ->type_name("FILE");
  app->add_flag("--quiet", flags->quiet, "No progress, no notes");
  app->footer(
      "Workload e, and scanproportion in a file, are refused: records are placed by hash, so keys "
      "have no "
      "order to scan in.\n"
      "Honoured are, beside the workload itself, insertstart and insertcount (the part of the "
      "records that "
      "this "
      "process loads and uses), threadcount, target (operations a second) and maxexecutiontime "
      "(seconds). A "
      "property that is not known is refused.\n"
      "Beyond YCSB a file may set deleteproportion and conditionalputproportion (a get, and a put "
      "on its "
      "version).\n"
      "Figures that have no meaning for a run are null in the report. Exit status 3 if any "
      "operation ended "
      "in an error.\n"
      "SIGINT, SIGTERM or SIGHUP ends the run with a report and exit status 128 + the signal's "
      "number, a "
      "second "
      "one at once.\n\n"
      "Examples:\n"
      "  scalio bench ycsb --server unix:/run/scalio.sock --workload a --records 1000000 --load "
      "--operations "
      "0\n"
      "  scalio bench ycsb --server unix:/run/scalio.sock --workload a --records 1000000 --threads "
      "2 --depth "
      "64 --json a.json\n"
      "  scalio bench ycsb --server tcp:10.0.0.2:7000 --workload my.properties --history "
      "history.jsonl\n"
      "  scalio bench ycsb --server tcp:10.0.0.2:7000 --workload b -p target=20000 -p "
      "maxexecutiontime=60");
  return {app, [flags] { return bench(*flags); }};
}

}  // namespace scalio::cli
