// Child processes of a test: started with their output in files, waited for with a bound, and
// killed when the test ends, however it ends.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"

namespace scalio::testing {

class Process {
 public:
  // Starts argv[0] with standard output and error going to `name`.out and `name`.err. Aborts if the
  // system cannot start a process. Call from the test's main thread: children die with the thread
  // that made them.
  Process(const std::vector<std::string>& argv, const std::filesystem::path& name);

  // Nothing if it still runs after `bound`.
  std::optional<ProcessEnd> wait(std::chrono::milliseconds bound) { return child_.wait(bound); }
  bool running() { return !wait(std::chrono::milliseconds(0)); }
  void signal(int number) { child_.signal(number); }
  // SIGKILL, and waits until it is gone.
  void kill() { child_.kill(); }

  pid_t pid() const { return child_.pid(); }
  std::string out() const;
  std::string err() const;

 private:
  ChildProcess child_;
  std::filesystem::path name_;
};

// A command run to its end.
struct Finished {
  int status = -1;  // exit status; -1 if it was killed, by itself or because it did not end in time
  std::string out;
  std::string err;
};
Finished run(const std::vector<std::string>& argv, const std::filesystem::path& name,
             std::chrono::milliseconds bound = std::chrono::seconds(60));

std::string read_file(const std::filesystem::path& path);

}  // namespace scalio::testing
