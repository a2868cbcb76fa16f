// ChildProcess: another program, as a child of this process.
#pragma once

#include <scalio/status.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace scalio {

struct ChildOptions {
  std::vector<std::string> argv;
  // What is run; a name without a slash is looked for in PATH. Empty: argv[0].
  std::string program = {};
  // Descriptors that it gets as its standard ones; -1: this process's own.
  int in = -1, out = -1, err = -1;
  // A Ctrl-C at the terminal is not for it.
  bool own_group = false;
  // It is killed when the thread that started it ends, however that ends.
  bool dies_with_thread = false;
};

// How a process ended.
struct ProcessEnd {
  bool signaled = false;
  int code = 0;                // exit status, or the signal's number
  std::uint64_t cpu_time = 0;  // of all its threads, ns
};
// "exit status 3", "signal 9".
std::string to_string(const ProcessEnd& end);

class ChildProcess {
 public:
  // It has no signal blocked and none ignored. Failures: unavailable, also if the program is not
  // there.
  static Result<ChildProcess> start(const ChildOptions& options);
  // Kills it if it runs.
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept { swap(other); }
  ChildProcess& operator=(ChildProcess&& other) noexcept {
    swap(other);
    return *this;
  }

  // How it ended; nothing if it still runs after `bound`.
  std::optional<ProcessEnd> wait(std::chrono::milliseconds bound);
  // SIGKILL, and waits until it is gone.
  ProcessEnd kill();

  // Thread-safe, and safe beside wait(): never meets another process that has got its number.
  void signal(int number) const;
  // Waits until it has ended, which wait() then tells. False if it still runs after `bound`.
  bool has_ended(std::chrono::milliseconds bound) const;

  pid_t pid() const { return pid_; }
  // What all its threads have used so far, in ns; nothing if it has ended.
  std::optional<std::uint64_t> cpu_time() const;

 private:
  ChildProcess() = default;
  void swap(ChildProcess& other);

  pid_t pid_ = -1;
  int fd_ = -1;  // names the process whatever its number
  std::optional<ProcessEnd> end_;
};

}  // namespace scalio
