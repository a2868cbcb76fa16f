#include "sim/seed_runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <vector>

namespace scalio::sim {

namespace {
// Seeds of one process, before it makes room for another.
constexpr std::uint64_t kSeedsPerProcess = 50;
constexpr std::size_t kMaxText = 64 * 1024;
constexpr int kProgressMs = 200;

// What a job writes after each seed, followed by `text` bytes of what went wrong.
struct SeedReport {
  std::uint64_t seed;
  Totals totals;  // of this seed
  std::uint64_t text;
};
static_assert(std::is_trivially_copyable_v<SeedReport>);

void write_all(int fd, const void* data, std::size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);  // the parent has gone
    p += n;
    size -= static_cast<std::size_t>(n);
  }
}

[[noreturn]] void work(int fd, std::uint64_t first, std::uint64_t count,
                       SimulationOptions options) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    options.trace = false;
    const SimulationResult r = run(options);
    std::string text;
    for (const std::string& v : r.violations) text += v + "\n";
    text.resize(std::min(text.size(), kMaxText));
    const SeedReport report{seed,
                            {1, r.operations, r.unknown, r.errors, r.hits, r.misses, r.steals,
                             r.restarts, r.steps, r.struck},
                            text.size()};
    write_all(fd, &report, sizeof report);
    write_all(fd, text.data(), text.size());
  }
  _exit(0);
}

void add(Totals& sum, const Totals& t) {
  sum.seeds += t.seeds;
  sum.operations += t.operations;
  sum.unknown += t.unknown;
  sum.errors += t.errors;
  sum.hits += t.hits;
  sum.misses += t.misses;
  sum.steals += t.steals;
  sum.restarts += t.restarts;
  sum.steps += t.steps;
  for (std::size_t i = 0; i < kFaults; ++i) sum.struck[i] += t.struck[i];
}

class Job {
 public:
  Job() = default;
  ~Job() { end(); }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  bool running() const { return pid_ > 0; }
  int fd() const { return fd_; }

  Status begin(std::uint64_t first, std::uint64_t count, const SimulationOptions& options) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return failure("pipe");
    next_ = first;
    last_ = first + count;
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      work(ends[1], first, count, options);
    }
    close(ends[1]);
    fd_ = ends[0];
    if (pid_ < 0) return failure("fork");
    return Status();
  }

  // Takes what the job has written.
  void read_some(SeedRunnerResult& result) {
    std::array<char, 16384> chunk;
    const ssize_t n = read(fd_, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) return;
    if (n > 0) buffer_.append(chunk.data(), static_cast<std::size_t>(n));
    for (SeedReport report; buffer_.size() >= sizeof report;) {
      std::memcpy(&report, buffer_.data(), sizeof report);
      if (buffer_.size() < sizeof report + report.text) break;
      add(result.totals, report.totals);
      next_ = report.seed + 1;
      if (report.text > 0) fail(result, report.seed, buffer_.substr(sizeof report, report.text));
      buffer_.erase(0, sizeof report + report.text);
    }
    if (n > 0) return;
    const int status = end();
    if (next_ < last_ && !result.failure) {
      fail(result, next_,
           WIFSIGNALED(status)
               ? fmt::format("the program ended by signal {} ({})", WTERMSIG(status),
                             strsignal(WTERMSIG(status)))
               : fmt::format("the program ended with status {}", WEXITSTATUS(status)));
    }
  }

 private:
  static Status failure(const char* what) {
    return Status(Code::unavailable, fmt::format("{}: {}", what, std::strerror(errno)));
  }
  // The lowest seed, so that jobs at one time do not decide which one is told.
  static void fail(SeedRunnerResult& result, std::uint64_t seed, std::string what) {
    if (!result.failure || seed < result.failure->seed)
      result.failure = Failure{seed, std::move(what)};
  }
  int end() {
    int status = 0;
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
    }
    if (fd_ >= 0) close(fd_);
    pid_ = -1;
    fd_ = -1;
    buffer_.clear();
    return status;
  }

  pid_t pid_ = -1;
  int fd_ = -1;
  std::uint64_t next_ = 0, last_ = 0;
  std::string buffer_;
};
}  // namespace

Result<SeedRunnerResult> run_many(const SeedRunnerOptions& options,
                                  const std::function<bool(const Totals&)>& progress) {
  SeedRunnerResult result;
  std::vector<Job> jobs(std::max(1U, options.jobs));
  const std::uint64_t end = options.first_seed + options.seeds;
  std::uint64_t next = options.first_seed;
  for (;;) {
    std::vector<pollfd> fds;
    std::vector<Job*> readers;
    for (Job& job : jobs) {
      if (!job.running() && next < end && !result.failure) {
        const std::uint64_t count = std::min(kSeedsPerProcess, end - next);
        if (Status s = job.begin(next, count, options.run); !s.ok()) return s;
        next += count;
      }
      if (!job.running()) continue;
      fds.push_back({job.fd(), POLLIN, 0});
      readers.push_back(&job);
    }
    if (fds.empty()) return result;
    const int ready = poll(fds.data(), fds.size(), kProgressMs);
    for (std::size_t i = 0; ready > 0 && i < fds.size(); ++i) {
      if (fds[i].revents != 0) readers[i]->read_some(result);
    }
    if (!progress(result.totals) || result.failure) return result;
  }
}

}  // namespace scalio::sim
