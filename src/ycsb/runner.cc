#include "ycsb/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "task/thread.h"
#include "ycsb/worker.h"

namespace scalio::ycsb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProgressInterval{200};
constexpr Clock::duration kShortest = std::chrono::milliseconds(1);
// While loading, latency is nobody's question and durable writes are faster many at a time.
constexpr unsigned kLoadDepth = 256;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Counts threads that got somewhere.
class Arrivals {
 public:
  void arrive() {
    std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  // Whether `count` have arrived, within the time.
  bool wait_for(unsigned count, Clock::duration time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned count_ = 0;
};

// Joins what it has started.
class Threads {
 public:
  ~Threads() { join(); }
  Status start(std::function<void()> body) {
    Result<std::thread> thread = start_thread("scalio-bench", std::move(body));
    if (!thread.ok()) return thread.status();
    threads_.push_back(*std::move(thread));
    return Status();
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

class Run {
 public:
  Run(const RunOptions& options, const std::function<void(const Progress&)>& progress)
      : options_(options), progress_(progress), process_(std::random_device()()) {}

  Result<Report> go();

 private:
  Status check_options() const;
  Status prepare();
  Result<Phase> run_phase(bool load);
  Assignment assignment(bool load, unsigned thread) const;
  std::uint64_t phase_total(bool load) const {
    return load ? options_.workload.loaded() : options_.workload.operations;
  }
  unsigned load_depth() const { return std::max(options_.depth, kLoadDepth); }
  bool history_broken() const { return history_ && !history_->status().ok(); }
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  ServerCounters server_counters();

  const RunOptions& options_;
  const std::function<void(const Progress&)>& progress_;
  const std::uint32_t process_;      // this process among all that run a benchmark
  std::unique_ptr<Client> control_;  // asks for statistics
  std::unique_ptr<HistoryFile> history_;
  std::string last_stat_;
};

Status Run::check_options() const {
  const Workload& w = options_.workload;
  auto invalid = [](std::string message) { return Status(Code::invalid, std::move(message)); };
  if (options_.threads < 1 || options_.threads > kMaxThreads) {
    return invalid(fmt::format("{} threads: must be 1 to {}", options_.threads, kMaxThreads));
  }
  if (options_.depth < 1 || options_.depth > kMaxDepth) {
    return invalid(fmt::format("depth {}: must be 1 to {}", options_.depth, kMaxDepth));
  }
  if (w.records < 1) return invalid("0 records: there must be one or more");
  if (w.insert_start >= w.records || w.loaded() < 1 || w.loaded() > w.records - w.insert_start) {
    return invalid(fmt::format(
        "insertstart {}{}: they must name some of the {} records (recordcount)", w.insert_start,
        w.insert_count ? fmt::format(", insertcount {}", *w.insert_count) : "", w.records));
  }
  if (options_.key_size <= kKeyPrefix.size() || options_.key_size > kMaxKeySize ||
      key_capacity(options_.key_size) < expected_records(w)) {
    return invalid(fmt::format(
        "keys of {} bytes cannot name {} records: they are \"{}\" and digits, {} bytes at most",
        options_.key_size, expected_records(w), kKeyPrefix, kMaxKeySize));
  }
  if (w.value_size < kValuePrefix) {
    return invalid(fmt::format("values of {} bytes: they must have {} or more, to be unique",
                               w.value_size, kValuePrefix));
  }
  return Status();
}

Status Run::prepare() {
  if (Status status = check_options(); !status.ok()) return status;
  Result<std::unique_ptr<Client>> control = Client::connect(options_.server, options_.client);
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  if (std::uint64_t size = options_.key_size + options_.workload.value_size;
      size > control_->inline_limit()) {
    return Status(
        Code::too_large,
        fmt::format(
            "records of {} bytes, but the store takes {}: choose smaller values or format it "
            "with a larger --inline-limit",
            size, control_->inline_limit()));
  }
  if (!options_.history.empty()) {
    Result<std::unique_ptr<HistoryFile>> file = HistoryFile::create(options_.history);
    if (!file.ok()) return file.status();
    history_ = *std::move(file);
  }
  return Status();
}

Result<Report> Run::go() {
  if (Status status = prepare(); !status.ok()) return status;
  Report report;
  report.workload = options_.workload;
  report.threads = options_.threads;
  report.depth = options_.depth;
  report.key_size = options_.key_size;
  report.seed = options_.seed;
  report.server = options_.server;
  if (options_.load) {
    Result<Phase> load = run_phase(true);
    if (!load.ok()) return load.status();
    report.load = *std::move(load);
    report.load_depth = load_depth();
  }
  if (options_.workload.operations > 0 && (!report.load || report.load->stopped.empty()) &&
      !history_broken()) {
    Result<Phase> run = run_phase(false);
    if (!run.ok()) return run.status();
    report.run = *std::move(run);
  }
  // A server that did not answer just now is not asked again.
  if (!last_stat_.empty()) server_counters();
  report.server_stat = last_stat_;
  if (history_) report.history = history_->status();
  return report;
}

// An equal share of the phase for each thread.
Assignment Run::assignment(bool load, unsigned thread) const {
  const std::uint64_t total = phase_total(load);
  const std::uint64_t share = total / options_.threads;
  const std::uint64_t rest = total % options_.threads;
  return {.load = load,
          .first_record = options_.workload.insert_start + share * thread +
                          std::min<std::uint64_t>(thread, rest),
          .operations = share + (thread < rest ? 1 : 0),
          .depth = load ? load_depth() : options_.depth,
          .rate = options_.workload.target / options_.threads,
          .key_size = options_.key_size,
          .value_size = options_.workload.value_size,
          .resume_timeout = static_cast<std::uint64_t>(
              std::chrono::nanoseconds(options_.client.resume_timeout).count()),
          .seed = mix(options_.seed) + thread,
          // The phases have different writers, because each counts its values from 0.
          .writer = {.process = process_, .thread = thread + (load ? 0 : options_.threads)}};
}

// Nothing if the server does not answer: then what depends on it is left out of the report.
ServerCounters Run::server_counters() {
  Result<std::string> stat = control_->run(control_->stat());
  last_stat_ = stat.ok() ? *stat : std::string();
  return ServerCounters::parse(last_stat_);
}

Result<Phase> Run::run_phase(bool load) {
  const unsigned threads = options_.threads;
  const OperationChooser operations(options_.workload);
  const RecordChooser records(options_.workload);
  InsertCounter inserts(options_.workload.records);
  Stopper stopper;
  const Shared shared{operations, inserts, stopper};

  std::vector<Status> connected(threads);
  std::vector<std::unique_ptr<Worker>> workers(threads);
  std::vector<Clock::time_point> ended(threads);
  Arrivals ready;
  Arrivals done;
  std::latch start(1);
  std::latch leave(1);
  bool cancelled = false;

  auto thread_main = [&](unsigned i) {
    Result<std::unique_ptr<Client>> client = Client::connect(options_.server, options_.client);
    connected[i] = client.status();
    if (client.ok()) {
      workers[i] =
          std::make_unique<Worker>(**client, shared, records, assignment(load, i), history_.get());
    }
    ready.arrive();
    start.wait();
    if (!cancelled) workers[i]->run();
    ended[i] = Clock::now();
    done.arrive();
    // The disconnecting is not part of the run that the server's statistics are about.
    leave.wait();
  };
  Threads pool;
  for (unsigned i = 0; i < threads; ++i) {
    Status status = pool.start([&thread_main, i] { thread_main(i); });
    if (status.ok()) continue;
    connected[i] = std::move(status);
    ready.arrive();
  }

  while (!ready.wait_for(threads, kProgressInterval)) {
  }
  const auto refused = std::ranges::find_if(connected, [](const Status& s) { return !s.ok(); });
  if (refused != connected.end()) {
    cancelled = true;
    start.count_down();
    leave.count_down();
    return *refused;
  }

  const ServerCounters before = server_counters();
  const Clock::time_point begin = Clock::now();
  start.count_down();
  Progress state{.phase = load ? "load" : "run", .total = phase_total(load)};
  bool more = true;
  const auto limit = options_.workload.max_seconds;
  while (more) {
    Clock::duration wait = kProgressInterval;
    if (limit)
      wait = std::clamp(begin + std::chrono::seconds(*limit) - Clock::now(), kShortest, wait);
    more = !done.wait_for(threads, wait);
    if (more && limit && Clock::now() - begin >= std::chrono::seconds(*limit)) stopper.finish();
    if (more && interrupted()) stopper.stop("interrupted");
    if (more && history_broken()) stopper.stop(history_->status().message());
    state.done = state.errors = 0;
    unsigned lost = 0, ended_well = 0;
    for (const auto& worker : workers) {
      state.done += worker->done();
      state.errors += worker->errors();
      lost += worker->lost() ? 1 : 0;
      ended_well += worker->ended() && !worker->lost() ? 1 : 0;
    }
    if (more && lost > 0 && lost + ended_well == threads) {
      stopper.stop("no thread can reach the server any more");
    }
    state.seconds = seconds(Clock::now() - begin);
    progress_(state);
  }

  Phase phase;
  phase.server = server_counters().since(before);
  leave.count_down();
  pool.join();
  phase.stopped = stopper.reason();
  Clock::time_point end = *std::ranges::max_element(ended);
  if (!phase.stopped.empty()) {
    end = begin;
    for (const auto& worker : workers) {
      end = std::max(end, Clock::time_point(std::chrono::nanoseconds(worker->last_success())));
    }
  }
  phase.seconds = seconds(end - begin);
  for (const auto& worker : workers) phase.tally.merge(worker->tally());
  return phase;
}

}  // namespace

Result<Report> run(const RunOptions& options,
                   const std::function<void(const Progress&)>& progress) {
  return Run(options, progress).go();
}

}  // namespace scalio::ycsb
