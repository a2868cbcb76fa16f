// Child processes of a test: started with their output in files, waited for with a bound, and
// killed when the test ends, however it ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace scalio::testing {

// How a process ended.
struct Exit {
  bool signaled = false;
  int code = 0;  // exit status, or the signal's number
};

class Process {
 public:
  // Starts argv[0] with standard output and error going to `name`.out and `name`.err. Aborts if the
  // system cannot start a process. Call from the test's main thread: children die with the thread
  // that made them.
  Process(const std::vector<std::string>& argv, const std::filesystem::path& name);
  // Kills it if it runs.
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  // Nothing if it still runs after `bound`.
  std::optional<Exit> wait(std::chrono::milliseconds bound);
  bool running() { return !wait(std::chrono::milliseconds(0)); }
  void signal(int number);
  // SIGKILL, and waits until it is gone.
  void kill();

  pid_t pid() const { return pid_; }
  std::string out() const;
  std::string err() const;

 private:
  void swap(Process& other);

  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<Exit> exit_;
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
