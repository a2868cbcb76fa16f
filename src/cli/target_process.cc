#include "cli/target_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "base/json.h"
#include "task/thread.h"

namespace scalio::cli {

using net::UniqueFd;

namespace {
constexpr std::chrono::seconds kPause{1};      // between two starts
constexpr std::chrono::seconds kStopBound{5};  // then it is killed
constexpr std::chrono::hours kLook{1};         // whether it has ended: it wakes by itself
constexpr int kReadyBound = 10'000;            // ms
constexpr std::size_t kLongestLine = 1 << 20;
// Of one association: its admin queue and an I/O queue.
constexpr std::size_t kConnectionsOfAClient = 2;
// Of clients that connect again before their old connections are gone, and who asks what there is.
constexpr std::size_t kConnectionsOfOthers = 64;

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> fds;
  if (pipe2(fds.data(), O_CLOEXEC) != 0) {
    return Status(Code::unavailable, fmt::format("pipe: {}", std::strerror(errno)));
  }
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Why it is not there: it has said so itself, but in its own terms.
Status did_not_start(std::size_t clients) {
  const std::string follows =
      clients > 0 ? fmt::format(" (its connections follow from --max-clients {})", clients) : "";
  return {Code::unavailable,
          fmt::format("the NVMe/TCP target did not start, for the reason above{}; --nvmf none does "
                      "without",
                      follows)};
}

// The first line that comes out of `fd`.
Result<std::string> read_line(int fd, std::size_t clients) {
  std::string line;
  const auto bound = std::chrono::steady_clock::now() + std::chrono::milliseconds(kReadyBound);
  while (line.find('\n') == std::string::npos && line.size() < kLongestLine) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        bound - std::chrono::steady_clock::now());
    pollfd readable{fd, POLLIN, 0};
    if (left.count() <= 0 || (poll(&readable, 1, static_cast<int>(left.count())) == 0)) {
      return Status(Code::timed_out, "the NVMe/TCP target does not get ready");
    }
    std::array<char, 4096> buffer;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return did_not_start(clients);
    line.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return line;
}

Result<net::Uri> address_in(const std::string& line) {
  const nlohmann::json ready = parse_json(line);
  if (ready.is_discarded() || !ready.contains("listen") || !ready["listen"].is_array() ||
      ready["listen"].empty() || !ready["listen"][0].is_string()) {
    return Status(Code::unavailable,
                  "the NVMe/TCP target says something else than that it is ready: " + line);
  }
  return net::parse_uri(ready["listen"][0].get<std::string>());
}
}  // namespace

Result<std::unique_ptr<TargetProcess>> TargetProcess::start(net::Uri listen,
                                                            std::vector<std::string> ssds,
                                                            Settings settings) {
  std::unique_ptr<TargetProcess> target(
      new TargetProcess(std::move(listen), std::move(ssds), std::move(settings)));
  if (Status s = target->launch(); !s.ok()) return s;
  Result<std::thread> supervisor =
      start_thread("scalio-target", [t = target.get()] { t->supervise(); });
  if (!supervisor.ok()) return supervisor.status();
  target->supervisor_ = std::move(*supervisor);
  return target;
}

TargetProcess::TargetProcess(net::Uri listen, std::vector<std::string> ssds, Settings settings)
    : ssds_(std::move(ssds)), settings_(std::move(settings)), address_(std::move(listen)) {}

TargetProcess::~TargetProcess() {
  if (!supervisor_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    stdin_.reset();
    changed_.notify_all();
    // It may be being started again at this moment, which has a bound of its own.
    while (!changed_.wait_for(lock, kStopBound, [this] { return supervised_; })) {
      if (!child_) continue;
      spdlog::error("the NVMe/TCP target does not stop: it is killed");
      child_->signal(SIGKILL);
    }
  }
  supervisor_.join();
}

// At `address_`, which gets the port that the kernel picked.
Status TargetProcess::launch() {
  Result<Pipe> in = make_pipe(), out = make_pipe();
  if (!in.ok()) return in.status();
  if (!out.ok()) return out.status();
  std::vector<std::string> arguments = {"scalio",           "nvmf-target",    "--json",
                                        "--end-with-stdin", "--log-level",    settings_.log_level,
                                        "--listen",         address().text(), "--ns"};
  arguments.insert(arguments.end(), ssds_.begin(), ssds_.end());
  arguments.insert(arguments.end(), {"--threads", std::to_string(settings_.threads), "--spin",
                                     std::to_string(settings_.spin / kMicrosecond)});
  // Who may listen where was this process's to check.
  if (settings_.dhchap.empty()) {
    arguments.emplace_back("--insecure");
  } else {
    arguments.insert(arguments.end(), {"--dhchap", settings_.dhchap});
  }
  if (settings_.clients > 0) {
    const std::size_t most = settings_.clients * kConnectionsOfAClient + kConnectionsOfOthers;
    arguments.insert(arguments.end(), {"--max-connections", std::to_string(most)});
  }
  // In a process group of its own: a Ctrl-C at the terminal is for the server, which ends it in its
  // turn.
  Result<ChildProcess> child = ChildProcess::start({.argv = std::move(arguments),
                                                    .program = "/proc/self/exe",
                                                    .in = in->read.get(),
                                                    .out = out->write.get(),
                                                    .own_group = true});
  if (!child.ok()) {
    return {child.code(), fmt::format("the NVMe/TCP target: {}", child.status().message())};
  }
  out->write.reset();
  Result<std::string> line = read_line(out->read.get(), settings_.clients);
  Result<net::Uri> address = line.ok() ? address_in(*line) : Result<net::Uri>(line.status());
  if (!address.ok()) return address.status();
  std::lock_guard lock(mutex_);
  address_ = *address;
  child_ = *std::move(child);
  if (!stopping_) stdin_ = std::move(in->write);
  return Status();
}

void TargetProcess::supervise() {
  std::unique_lock lock(mutex_);
  keep_running(lock);
  supervised_ = true;
  changed_.notify_all();
}

void TargetProcess::keep_running(std::unique_lock<std::mutex>& lock) {
  while (!stopping_ || child_) {
    if (!child_) {
      changed_.wait_for(lock, kPause, [this] { return stopping_; });
      if (stopping_) return;
      lock.unlock();
      if (Status s = launch(); !s.ok()) spdlog::error("{}", s.message());
      lock.lock();
      continue;
    }
    // This thread alone takes it away.
    const ChildProcess& child = *child_;
    lock.unlock();
    while (!child.has_ended(kLook)) {
    }
    lock.lock();
    const std::optional<ProcessEnd> end = child_->wait({});
    SCALIO_ASSERT(end);
    ended_cpu_time_ += end->cpu_time;
    child_.reset();
    if (!stopping_) {
      spdlog::warn(
          "the NVMe/TCP target has ended with {}; it is started again, and GETs that miss wait",
          to_string(*end));
    }
  }
}

std::optional<Nanos> TargetProcess::cpu_time() const {
  std::lock_guard lock(mutex_);
  if (!child_) return ended_cpu_time_;
  const std::optional<Nanos> used = child_->cpu_time();
  return used ? std::optional(ended_cpu_time_ + *used) : std::nullopt;
}

}  // namespace scalio::cli
