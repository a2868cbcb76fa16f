#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/stop_signals.h"
#include "eval/commands/commands.h"
#include "eval/kv_run.h"
#include "eval/measured_point.h"
#include "eval/rival_session.h"

namespace scalio::eval {
namespace {

constexpr std::uint64_t kMostOperations = 1'000'000'000'000;

struct Flags {
  std::string system;
  std::string server;
  std::string workload;
  std::uint64_t records = 100'000;
  std::uint64_t operations = 100'000;
  std::uint64_t warm_up = 0;
  bool load = false;
  std::uint64_t threads = 1;
  std::uint64_t depth = 64;
  double skew = 0.99;
  bool uniform = false;
  std::uint64_t value_size = 64;
  std::uint64_t seed = 1;
  std::uint64_t seconds = 0;
  std::uint64_t message_batch = 8;
  std::string ssd_access;
  std::uint64_t memory = std::uint64_t{1} << 30;
  std::string scratch = "/var/tmp";
  bool json = false;
  bool quiet = false;
};

Result<KvRunOptions> run_options(const Flags& flags) {
  Result<ycsb::Workload> workload = ycsb::load_workload(flags.workload);
  if (!workload.ok()) return workload.status();
  if (flags.skew == 1) {
    return Status(Code::invalid,
                  "--skew 1: the formula of the zipfian has no value for it; "
                  "0.99 or 1.01 are near");
  }
  workload->records = flags.records;
  workload->operations = flags.operations;
  workload->value_size = flags.value_size;
  workload->zipfian_constant = flags.skew;
  workload->zipfian_space = ycsb::ZipfianSpace::items;
  if (flags.uniform) workload->distribution = ycsb::Distribution::uniform;
  KvRunOptions o;
  o.workload = *std::move(workload);
  o.load = flags.load;
  o.warm_up = flags.warm_up;
  o.threads = static_cast<std::uint32_t>(flags.threads);
  o.depth = static_cast<std::uint32_t>(flags.depth);
  o.most_seconds = flags.seconds;
  o.seed = flags.seed;
  return o;
}

// One of the systems that have a server of their own.
Status target_server(const Flags& flags, KvRunOptions& o) {
  if (flags.server.empty()) {
    return Status(Code::invalid, fmt::format("--server says where {} is served", flags.system));
  }
  o.connect = [&flags, system = *find_system(flags.system)](std::uint32_t thread) {
    SessionOptions options;
    options.message_batch = static_cast<std::uint32_t>(flags.message_batch);
    options.seed = mix(flags.seed) + thread;
    if (flags.ssd_access == "direct") options.scalio.ssd_access = SsdAccess::direct;
    if (flags.ssd_access == "nvmf") options.scalio.ssd_access = SsdAccess::nvmf;
    return connect(system, flags.server, options);
  };
  return Status();
}

// One that is started for this run. `rival` must outlive it.
Status target_rival(const Flags& flags, const RivalRow& row, std::unique_ptr<Rival>& rival,
                    KvRunOptions& o) {
  if (!flags.server.empty()) {
    return Status(Code::invalid, fmt::format("--server: {} is started by this command", row.name));
  }
  if (!flags.load) {
    return Status(Code::invalid,
                  fmt::format("{} is started without records: give --load", row.name));
  }
  Result<std::unique_ptr<Rival>> started =
      row.start({.scratch = flags.scratch,
                 .memory = flags.memory,
                 .in_flight = static_cast<std::uint32_t>(flags.threads * flags.depth)});
  if (!started.ok()) return started.status();
  rival = *std::move(started);
  if (!flags.quiet) cli::say(fmt::format("{}: {}", row.name, rival->memory_limit()));
  o.cache = row.cache;
  o.connect = [&rival, name = std::string(row.name)](std::uint32_t) {
    return RivalSession::connect(*rival, name);
  };
  return Status();
}

void show(cli::ProgressLine& line, const KvProgress& p) {
  const double rate = p.seconds > 0 ? static_cast<double>(p.done) / p.seconds : 0;
  std::string text = fmt::format("{:.0f} ops/s", rate);
  if (p.errors > 0) text += fmt::format(", {} errors", p.errors);
  line.update(p.phase, static_cast<double>(p.done) / static_cast<double>(p.total), text);
  if (p.done == p.total) line.finish();
}

// The status of a phase that did not go well, which is said; kSuccess of one that did.
int outcome(const std::optional<KvPhase>& phase, const cli::StopRequest& stop) {
  if (!phase) return cli::kSuccess;
  for (const auto& [code, count] : phase->tally.errors_by_code) {
    cli::say(fmt::format("{} operations ended with {}; the first: {}", count, code,
                         phase->tally.error_messages.at(code)));
  }
  if (!phase->stopped.empty()) {
    const int status = cli::fail({Code::unavailable, "stopped early: " + phase->stopped});
    return stop.asked ? cli::kSignalled + stop.signal : status;
  }
  return phase->tally.errors > 0 ? cli::kFailure : cli::kSuccess;
}

int run_ycsb(const Flags& flags) {
  Result<KvRunOptions> options = run_options(flags);
  if (!options.ok()) return cli::fail(options.status());
  // The thread of the signals may outlive the run.
  auto stop = std::make_shared<cli::StopRequest>();
  if (Status s = cli::on_stop_signal([stop](int signal) { stop->set(signal); }); !s.ok()) {
    return cli::fail(s);
  }
  options->interrupted = &stop->asked;
  const std::optional<System> system = find_system(flags.system);
  std::unique_ptr<Rival> rival;
  const Status target = system ? target_server(flags, *options)
                               : target_rival(flags, *find_rival(flags.system), rival, *options);
  if (!target.ok()) return cli::fail(target);
  cli::ProgressLine line(flags.quiet);
  const Result<KvReport> report = run(*options, [&line](const KvProgress& p) { show(line, p); });
  line.finish();
  if (!report.ok()) return cli::fail(report.status());
  if (report->run) {
    const auto formula = system ? io_formula(*system) : std::nullopt;
    Point point = measured_point(flags.system, formula, *options, *report->run);
    if (system && system != System::scalio) point.batch = flags.message_batch;
    if (rival) point.memory_limit = rival->memory_limit();
    const int printed = cli::print(flags.json ? to_json(point) + "\n" : to_table(point));
    if (printed != cli::kSuccess) return printed;
  }
  const int loaded = outcome(report->load, *stop);
  return loaded != cli::kSuccess ? loaded : outcome(report->run, *stop);
}

void add_load_options(Options& options, Flags& f) {
  options.count("--records", f.records, 1, kMostOperations,
                "Records that the store has, or --load writes");
  options.flag("--load", f.load, "First write all the records, with at least 256 in flight");
  options.count("--warm-up", f.warm_up, 0, kMostOperations,
                "Operations before those that are measured");
  options.count("--operations", f.operations, 0, kMostOperations,
                "Operations to measure; 0: none, so that --load loads alone");
  options.count("--seconds", f.seconds, 0, 86'400, "Most seconds to measure; 0: no limit");
  options.count("--threads", f.threads, 1, 1000, "Threads, each with connections of its own");
  options.count("--depth", f.depth, 1, 4096, "Operations that each thread keeps in flight");
  options.real("--skew", f.skew, 0.01, 1.99, "Constant of the zipfian, drawn over the records");
  options.flag("--uniform", f.uniform, "All records are equally popular");
  options.size("--value-size", f.value_size, "Bytes of a value");
  options.count("--seed", f.seed, 0, UINT64_MAX,
                "Equal seeds choose equal operations; each thread has another one that follows "
                "from it");
}

}  // namespace

std::function<int()> add_eval_ycsb(Options& options) {
  auto f = std::make_shared<Flags>();
  std::vector<std::string> names = system_names();
  for (std::string& name : rival_names()) names.push_back(std::move(name));
  options.choice("--system", f->system, names,
                 "What the server serves, or what is started for this run (`scalio-eval systems`)");
  options.require("--system");
  options.text("--server", f->server, "URI",
               "The server: unix:/path, tcp:host:port or rdma:host:port");
  options.choice("--workload", f->workload, {"a", "b", "c", "d", "f"}, "YCSB's workload");
  options.require("--workload");
  add_load_options(options, *f);
  options.count("--message-batch", f->message_batch, 1, 64,
                "Most operations of a message; Scalio's have one");
  options.choice("--ssd-access", f->ssd_access, {"direct", "nvmf"},
                 "Scalio: how clients read the SSDs; default: direct for unix:, if that works, "
                 "else nvmf");
  options.size("--memory", f->memory, "Of what is started: its memory for records and caches");
  options.text("--scratch", f->scratch, "DIR",
               "Of what is started: where its directory is made, which is removed afterwards; "
               "default: /var/tmp");
  options.flag("--json", f->json, "Print what was measured as a line of JSON");
  options.flag("--quiet", f->quiet, "No progress");
  options.footer(
      "Keys have 16 bytes. A GET must find its record, with a value that was written for it; else "
      "it is an\nerror. Exit status 3 if any operation ended in one.\n\n"
      "Examples:\n"
      "  scalio-eval ycsb --system leed --server unix:/tmp/eval/s --workload a --records 100000 "
      "--load\n"
      "  scalio-eval ycsb --system scalio --server tcp:127.0.0.1:7000 --workload c --ssd-access "
      "nvmf --json\n"
      "  scalio-eval ycsb --system rocksdb --memory 256M --workload a --records 1000000 --load");
  return [f] { return run_ycsb(*f); };
}

}  // namespace scalio::eval
