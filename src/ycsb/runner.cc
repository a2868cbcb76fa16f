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

unsigned load_depth(const BenchmarkOptions& options) { return std::max(options.depth, kLoadDepth); }

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

// The threads of a phase, each with a client and a worker.
class PhaseThreads {
 public:
  PhaseThreads(const BenchmarkOptions& options, bool load, std::uint64_t total,
               std::uint32_t process, history::HistoryFile* history)
      : options_(options),
        load_(load),
        total_(total),
        process_(process),
        history_(history),
        operations_(options.workload),
        records_(options.workload),
        inserts_(options.workload.records),
        connected_(options.threads),
        workers_(options.threads),
        ended_(options.threads) {}
  ~PhaseThreads();
  PhaseThreads(const PhaseThreads&) = delete;
  PhaseThreads& operator=(const PhaseThreads&) = delete;

  // Starts them; each has connected, or this fails with what the first could not.
  Status connect();
  void begin() {
    begun_ = true;
    start_.count_down();
  }
  // Whether all have ended, within the time.
  bool wait_for_end(Clock::duration time) { return done_.wait_for(options_.threads, time); }
  void stop_early(std::optional<std::string> reason) {
    if (reason) stopper_.stop(*std::move(reason));
  }
  // What they have done so far. Stops them if none can reach the server any more.
  void count(Progress& state, bool may_stop);
  // Ends them, and gives what they have measured.
  void collect(Phase& phase, Clock::time_point begin);

 private:
  void thread_main(unsigned i);
  Assignment assignment(unsigned thread) const;

  const BenchmarkOptions& options_;
  const bool load_;
  const std::uint64_t total_;
  const std::uint32_t process_;
  history::HistoryFile* const history_;
  const OperationChooser operations_;
  const RecordChooser records_;
  InsertCounter inserts_;
  Stopper stopper_;
  std::vector<Status> connected_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Clock::time_point> ended_;
  Arrivals ready_;
  Arrivals done_;
  std::latch start_{1};
  std::latch leave_{1};
  bool begun_ = false;
  bool left_ = false;
  bool cancelled_ = false;
  Threads pool_;
};

PhaseThreads::~PhaseThreads() {
  if (!begun_) {
    cancelled_ = true;
    start_.count_down();
  }
  if (!left_) leave_.count_down();
}

void PhaseThreads::thread_main(unsigned i) {
  Result<std::unique_ptr<Client>> client = Client::connect(options_.server, options_.client);
  connected_[i] = client.status();
  if (client.ok()) {
    workers_[i] = std::make_unique<Worker>(**client, Shared{operations_, inserts_, stopper_},
                                           records_, assignment(i), history_);
  }
  ready_.arrive();
  start_.wait();
  if (!cancelled_) workers_[i]->run();
  ended_[i] = Clock::now();
  done_.arrive();
  // The disconnecting is not part of the run that the server's statistics are about.
  leave_.wait();
}

Status PhaseThreads::connect() {
  for (unsigned i = 0; i < options_.threads; ++i) {
    Status status = pool_.start([this, i] { thread_main(i); });
    if (status.ok()) continue;
    connected_[i] = std::move(status);
    ready_.arrive();
  }
  while (!ready_.wait_for(options_.threads, kProgressInterval)) {
  }
  const auto refused = std::ranges::find_if(connected_, [](const Status& s) { return !s.ok(); });
  return refused == connected_.end() ? Status() : *refused;
}

// An equal share of the phase for each thread.
Assignment PhaseThreads::assignment(unsigned thread) const {
  const std::uint64_t share = total_ / options_.threads;
  const std::uint64_t rest = total_ % options_.threads;
  return {.load = load_,
          .first_record = options_.workload.insert_start + share * thread +
                          std::min<std::uint64_t>(thread, rest),
          .operations = share + (thread < rest ? 1 : 0),
          .depth = load_ ? load_depth(options_) : options_.depth,
          .rate = options_.workload.target / options_.threads,
          .key_size = options_.key_size,
          .ttl = options_.ttl,
          .value_size = options_.workload.value_size,
          .resume_timeout = static_cast<std::uint64_t>(
              std::chrono::nanoseconds(options_.client.resume_timeout).count()),
          .seed = mix(options_.seed) + thread,
          // The phases have different writers, because each counts its values from 0.
          .writer = {.process = process_, .thread = thread + (load_ ? 0 : options_.threads)}};
}

void PhaseThreads::count(Progress& state, bool may_stop) {
  state.done = state.errors = 0;
  unsigned lost = 0, ended_well = 0;
  for (const auto& worker : workers_) {
    state.done += worker->done();
    state.errors += worker->errors();
    lost += worker->lost() ? 1 : 0;
    ended_well += worker->ended() && !worker->lost() ? 1 : 0;
  }
  if (may_stop && lost > 0 && lost + ended_well == options_.threads) {
    stopper_.stop("no thread can reach the server any more");
  }
}

void PhaseThreads::collect(Phase& phase, Clock::time_point begin) {
  left_ = true;
  leave_.count_down();
  pool_.join();
  phase.stopped = stopper_.reason();
  Clock::time_point end = *std::ranges::max_element(ended_);
  if (!phase.stopped.empty()) {
    end = begin;
    for (const auto& worker : workers_) {
      end = std::max(end, Clock::time_point(std::chrono::nanoseconds(worker->last_success())));
    }
  }
  phase.seconds = seconds(end - begin);
  for (const auto& worker : workers_) phase.tally.merge(worker->tally());
}

class Benchmark {
 public:
  Benchmark(const BenchmarkOptions& options, const std::function<void(const Progress&)>& progress)
      : options_(options), progress_(progress), process_(std::random_device()()) {}

  Result<Report> go();

 private:
  Status check_options() const;
  Status prepare();
  Result<Phase> run_phase(bool load);
  Clock::duration next_look(Clock::time_point begin) const;
  std::optional<std::string> stop_reason(Clock::time_point begin) const;
  std::uint64_t phase_total(bool load) const {
    return load ? options_.workload.loaded() : options_.workload.operations;
  }
  bool history_broken() const { return history_ && !history_->status().ok(); }
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  ServerCounters server_counters();

  const BenchmarkOptions& options_;
  const std::function<void(const Progress&)>& progress_;
  const std::uint32_t process_;      // this process among all that run a benchmark
  std::unique_ptr<Client> control_;  // asks for statistics
  std::unique_ptr<history::HistoryFile> history_;
  std::string last_stat_;
};

Status Benchmark::check_options() const {
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

Status Benchmark::prepare() {
  if (Status status = check_options(); !status.ok()) return status;
  Result<std::unique_ptr<Client>> control = Client::connect(options_.server, options_.client);
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  const std::uint64_t end_size = options_.ttl.count() > 0 ? sizeof(std::uint64_t) : 0;
  if (const std::uint64_t most = control_->value_limit(options_.key_size + end_size);
      options_.workload.value_size > most) {
    return Status(Code::too_large,
                  fmt::format("values of {} bytes, but the store takes {} with keys of {}: choose "
                              "smaller values, or a store that takes large ones",
                              options_.workload.value_size, most, options_.key_size));
  }
  if (!options_.history.empty()) {
    Result<std::unique_ptr<history::HistoryFile>> file =
        history::HistoryFile::create(options_.history);
    if (!file.ok()) return file.status();
    history_ = *std::move(file);
  }
  return Status();
}

Result<Report> Benchmark::go() {
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
    report.load_depth = load_depth(options_);
  }
  if (report.load && report.load->stopped.empty() && interrupted()) {
    report.load->stopped = "interrupted";
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

// Nothing if the server does not answer: then what depends on it is left out of the report.
ServerCounters Benchmark::server_counters() {
  Result<std::string> stat = control_->run(control_->stat());
  last_stat_ = stat.ok() ? *stat : std::string();
  return ServerCounters::parse(last_stat_);
}

Result<Phase> Benchmark::run_phase(bool load) {
  PhaseThreads threads(options_, load, phase_total(load), process_, history_.get());
  if (Status status = threads.connect(); !status.ok()) return status;

  const ServerCounters before = server_counters();
  const Clock::time_point begin = Clock::now();
  if (options_.measuring != nullptr) *options_.measuring = true;
  threads.begin();
  Progress state{.phase = load ? "load" : "run", .total = phase_total(load)};
  for (bool more = true; more;) {
    more = !threads.wait_for_end(next_look(begin));
    if (more) threads.stop_early(stop_reason(begin));
    threads.count(state, more);
    state.seconds = seconds(Clock::now() - begin);
    progress_(state);
  }

  Phase phase;
  phase.server = server_counters().since(before);
  threads.collect(phase, begin);
  return phase;
}

Clock::duration Benchmark::next_look(Clock::time_point begin) const {
  const auto limit = options_.workload.max_seconds;
  if (!limit) return kProgressInterval;
  return std::clamp<Clock::duration>(begin + std::chrono::seconds(*limit) - Clock::now(), kShortest,
                                     kProgressInterval);
}

// Why the phase is to end now: empty if its time is up; nothing if it is to go on.
std::optional<std::string> Benchmark::stop_reason(Clock::time_point begin) const {
  const auto limit = options_.workload.max_seconds;
  if (limit && Clock::now() - begin >= std::chrono::seconds(*limit)) return "";
  if (interrupted()) return "interrupted";
  if (history_broken()) return history_->status().message();
  return std::nullopt;
}

}  // namespace

Result<Report> run(const BenchmarkOptions& options,
                   const std::function<void(const Progress&)>& progress) {
  return Benchmark(options, progress).go();
}

}  // namespace scalio::ycsb
