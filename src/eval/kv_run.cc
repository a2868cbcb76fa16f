#include "eval/kv_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "eval/phase_gate.h"
#include "task/thread.h"
#include "ycsb/key_value.h"

namespace scalio::eval {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{200};
// Latency is nobody's question while loading, and durable writes are faster many at a time.
constexpr std::uint32_t kLoadDepth = 256;
constexpr std::uint32_t kMostThreads = 1000;
constexpr std::uint32_t kMostDepth = 4096;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Status check(const KvRunOptions& o) {
  const ycsb::Workload& w = o.workload;
  const auto invalid = [](std::string message) {
    return Status(Code::invalid, std::move(message));
  };
  if (o.threads < 1 || o.threads > kMostThreads) {
    return invalid(fmt::format("{} threads: must be 1 to {}", o.threads, kMostThreads));
  }
  if (o.depth < 1 || o.depth > kMostDepth) {
    return invalid(fmt::format("depth {}: must be 1 to {}", o.depth, kMostDepth));
  }
  if (w.records < 1) return invalid("0 records: there must be one or more");
  if (o.key_size <= ycsb::kKeyPrefix.size() || o.key_size > ycsb::kMaxKeySize ||
      ycsb::key_capacity(o.key_size) < ycsb::expected_records(w) + 2 * o.warm_up) {
    return invalid(fmt::format("keys of {} bytes cannot name so many records", o.key_size));
  }
  if (w.value_size < ycsb::kValuePrefix) {
    return invalid(fmt::format("values of {} bytes: they must have {} or more, to be unique",
                               w.value_size, ycsb::kValuePrefix));
  }
  return Status();
}

// The thread's part of so much.
struct Share {
  std::uint64_t first, count;
};
Share share_of(std::uint64_t total, std::uint32_t thread, std::uint32_t threads) {
  const std::uint64_t each = total / threads;
  const std::uint64_t rest = total % threads;
  return {each * thread + std::min<std::uint64_t>(thread, rest), each + (thread < rest ? 1 : 0)};
}

class KvRun {
 public:
  KvRun(const KvRunOptions& options, const std::function<void(const KvProgress&)>& progress)
      : options_(options),
        progress_(progress),
        process_(std::random_device()()),
        records_(options.workload),
        shared_{ycsb::OperationChooser(options.workload),
                ycsb::InsertCounter(options.workload.records)},
        connected_(options.threads),
        workers_(options.threads) {}
  ~KvRun();

  Result<KvReport> go();

 private:
  struct Plan {
    std::string_view name;
    bool load;
    std::uint64_t operations;
    std::uint32_t depth;
    std::uint64_t most_seconds;
  };

  Status connect();
  void thread_main(std::uint32_t i);
  KvTask task(std::uint32_t thread) const;
  KvPhase run_phase(const Plan& plan);
  void look(Clock::time_point begin, KvProgress& progress);
  ServerStat server_stat();
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  const KvRunOptions& options_;
  const std::function<void(const KvProgress&)>& progress_;
  const std::uint32_t process_;  // among all that write to the store
  const ycsb::RecordChooser records_;
  KvShared shared_;
  std::unique_ptr<KvSession> control_;  // asks for statistics
  PhaseGate gate_;
  // Of the phase under way.
  Plan plan_ = {};
  std::unique_ptr<ycsb::Stopper> stopper_;
  // By thread; each writes its own before it arrives at the gate.
  std::vector<Status> connected_;
  std::vector<std::unique_ptr<KvWorker>> workers_;
  std::vector<std::thread> threads_;
};

KvRun::~KvRun() {
  gate_.close();
  for (std::thread& thread : threads_) thread.join();
}

Status KvRun::connect() {
  Result<std::unique_ptr<KvSession>> control = options_.connect(options_.threads);
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  for (std::uint32_t i = 0; i < options_.threads; ++i) {
    Result<std::thread> thread = start_thread("eval-client", [this, i] { thread_main(i); });
    if (!thread.ok()) return thread.status();
    threads_.push_back(*std::move(thread));
  }
  // Each attempt to connect has a bound.
  while (!gate_.all_arrived(options_.threads, kLook)) {
  }
  const auto refused = std::ranges::find_if(connected_, [](const Status& s) { return !s.ok(); });
  return refused == connected_.end() ? Status() : *refused;
}

void KvRun::thread_main(std::uint32_t i) {
  Result<std::unique_ptr<KvSession>> session = options_.connect(i);
  connected_[i] = session.status();
  if (session.ok()) {
    const KvWorkerOptions options = {.key_size = options_.key_size,
                                     .value_size = options_.workload.value_size,
                                     .seed = mix(options_.seed) + i,
                                     .writer = {.process = process_, .thread = i},
                                     .cache = options_.cache};
    workers_[i] = std::make_unique<KvWorker>(**session, shared_, records_, options);
  }
  gate_.arrive();
  for (std::uint64_t phase = 1; gate_.wait_for(phase); ++phase) {
    workers_[i]->run(task(i), *stopper_);
    gate_.arrive();
  }
}

KvTask KvRun::task(std::uint32_t thread) const {
  const Share share = share_of(plan_.operations, thread, options_.threads);
  return {.load = plan_.load,
          .first_record = share.first,
          .operations = share.count,
          .depth = plan_.depth};
}

Result<KvReport> KvRun::go() {
  if (Status s = connect(); !s.ok()) return s;
  KvReport report;
  const std::uint32_t depth = options_.depth;
  if (options_.load) {
    report.load =
        run_phase({"load", true, options_.workload.records, std::max(depth, kLoadDepth), 0});
    KvPhase& load = *report.load;
    if (load.tally.errors > 0 && load.stopped.empty()) {
      load.stopped = fmt::format("{} records could not be written", load.tally.errors);
    }
    if (!load.stopped.empty()) return report;
  }
  if (options_.warm_up > 0) {
    KvPhase warm_up = run_phase({"warm up", false, options_.warm_up, depth, 0});
    if (!warm_up.stopped.empty()) {
      report.run = std::move(warm_up);
      return report;
    }
  }
  if (options_.workload.operations > 0) {
    report.run =
        run_phase({"run", false, options_.workload.operations, depth, options_.most_seconds});
  }
  return report;
}

KvPhase KvRun::run_phase(const Plan& plan) {
  plan_ = plan;
  stopper_ = std::make_unique<ycsb::Stopper>();
  const ServerStat before = server_stat();
  KvProgress progress{.phase = plan.name, .total = plan.operations};
  const Clock::time_point begin = Clock::now();
  gate_.begin();
  while (!gate_.all_arrived(options_.threads, kLook)) look(begin, progress);
  KvPhase phase;
  phase.seconds = seconds_since(begin);
  phase.server = server_stat().since(before);
  look(begin, progress);
  phase.stopped = stopper_->reason();
  for (const auto& worker : workers_) phase.tally.merge(worker->tally());
  return phase;
}

void KvRun::look(Clock::time_point begin, KvProgress& progress) {
  progress.seconds = seconds_since(begin);
  if (interrupted()) stopper_->stop("interrupted");
  if (plan_.most_seconds > 0 && progress.seconds >= static_cast<double>(plan_.most_seconds)) {
    stopper_->finish();
  }
  progress.done = progress.errors = 0;
  for (const auto& worker : workers_) {
    progress.done += worker->done();
    progress.errors += worker->failed();
  }
  progress_(progress);
}

// Nothing if the server does not answer: then what depends on it is left out.
ServerStat KvRun::server_stat() {
  const Result<std::string> text = control_->stat();
  return text.ok() ? ServerStat::parse(*text) : ServerStat();
}

}  // namespace

Result<KvReport> run(const KvRunOptions& options,
                     const std::function<void(const KvProgress&)>& progress) {
  if (Status s = check(options); !s.ok()) return s;
  return KvRun(options, progress).go();
}

}  // namespace scalio::eval
