#include "eval/rivals/server_process.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <sstream>

#include "base/error_text.h"
#include "base/read_file.h"
#include "base/text.h"
#include "eval/rivals/process_use.h"
#include "net/socket.h"

namespace scalio::eval {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartBound{60};
constexpr std::chrono::milliseconds kLook{10};
constexpr std::size_t kMostLog = 1 << 20;
constexpr std::ptrdiff_t kLastLines = 5;
// Beyond what is for records: code, buffers of connections, and what the allocator cannot use.
constexpr std::uint64_t kProcessMemory = std::uint64_t{64} << 20;

}  // namespace

RivalCgroup make_rival_cgroup(std::uint64_t memory, pid_t pid) {
  const std::uint64_t most = memory + memory / 4 + kProcessMemory;
  Result<std::unique_ptr<MemoryCgroup>> made = MemoryCgroup::create(most);
  Status status = made.ok() ? (*made)->hold(pid) : made.status();
  if (!status.ok()) {
    return {nullptr, fmt::format("no control group limits the process: {}", status.message())};
  }
  return {*std::move(made),
          fmt::format("a control group of {} MiB, page cache included", most >> 20)};
}

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(const ServerProgram& program,
                                                            const RivalOptions& options) {
  Result<std::unique_ptr<ScratchDirectory>> directory = ScratchDirectory::create(options.scratch);
  if (!directory.ok()) return directory.status();
  std::unique_ptr<ServerProcess> server(new ServerProcess(*std::move(directory)));
  if (Status s = server->launch(program, options); !s.ok()) return s;
  if (Status s = server->wait_until_ready(program.program); !s.ok()) return s;
  return server;
}

Status ServerProcess::launch(const ServerProgram& program, const RivalOptions& options) {
  const std::string log = *directory_ / "log";
  const net::UniqueFd out(::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  const net::UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!out || !in) return Status(Code::io_error, fmt::format("{}: {}", log, error_text(errno)));
  std::vector<std::string> argv = program.arguments(options, directory_->path(), socket_);
  argv.insert(argv.begin(), program.program);
  Result<ChildProcess> child = ChildProcess::start({.argv = std::move(argv),
                                                    .in = in.get(),
                                                    .out = out.get(),
                                                    .err = out.get(),
                                                    .own_group = true,
                                                    .dies_with_thread = true});
  if (!child.ok()) {
    return Status(Code::unavailable,
                  fmt::format("{}; install {}", child.status().message(), program.package));
  }
  child_ = std::make_unique<ChildProcess>(*std::move(child));
  RivalCgroup cgroup = make_rival_cgroup(options.memory, child_->pid());
  cgroup_ = std::move(cgroup.group);
  cgroup_text_ = std::move(cgroup.text);
  return Status();
}

Status ServerProcess::wait_until_ready(const std::string& program) {
  const Clock::time_point bound = Clock::now() + kStartBound;
  while (!connect().ok()) {
    if (const std::optional<ProcessEnd> end = child_->wait(kLook)) {
      return Status(Code::unavailable, fmt::format("{} ended at once ({}): {}", program,
                                                   to_string(*end), last_words()));
    }
    if (Clock::now() > bound) {
      return Status(Code::unavailable, fmt::format("{} does not accept connections after {} s: {}",
                                                   program, kStartBound.count(), last_words()));
    }
  }
  return Status();
}

std::string ServerProcess::last_words() const {
  const Result<std::string> log = read_file(*directory_ / "log", kMostLog);
  if (!log.ok()) return log.status().message();
  std::vector<std::string> lines;
  std::istringstream in(*log);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(printable(line));
  }
  if (lines.empty()) return "it has said nothing";
  if (std::ssize(lines) > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
  return fmt::format("{}", fmt::join(lines, "; "));
}

Result<net::UniqueFd> ServerProcess::connect() const {
  Result<net::Address> address = net::unix_address(socket_);
  if (!address.ok()) return address.status();
  // On a unix socket it is connected at once.
  return net::start_connecting(*address);
}

RivalUse ServerProcess::use() const {
  RivalUse use;
  use.pid = child_->pid();
  use.cpu_us = child_->cpu_time().value_or(0) / 1000 + ended_children_cpu_us(use.pid);
  if (const std::optional<CgroupIo> io = cgroup_ ? cgroup_->io() : std::nullopt) {
    use.ssd_reads = io->reads;
    use.ssd_writes = io->writes;
    use.ssd_bytes_read = io->bytes_read;
    use.ssd_bytes_written = io->bytes_written;
  } else if (const std::optional<DiskBytes> bytes = disk_bytes(use.pid)) {
    use.ssd_bytes_read = bytes->read;
    use.ssd_bytes_written = bytes->written;
  }
  return use;
}

}  // namespace scalio::eval
