// A child process, such as the server or fio.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"

namespace scalio::bench {

// Ends, at the latest, when this process does. Created by the main thread: a child dies with the
// thread that made it.
class Process {
 public:
  // Starts argv[0] (looked up in PATH) with its standard output in the file `out`.
  Process(const std::vector<std::string>& argv, const std::filesystem::path& out);

  // Its exit status (a signal's number + 128); nothing if it still runs after `bound`.
  std::optional<int> wait(std::chrono::milliseconds bound);
  void signal(int number) { child_.signal(number); }

  pid_t pid() const { return child_.pid(); }
  // CPU time that all its threads have used, as the operating system accounts for it.
  std::uint64_t cpu_ns() const;
  // The most memory it has had resident so far, shared memory included.
  std::uint64_t peak_resident_bytes() const;

 private:
  ChildProcess child_;
};

// CPU time of the calling thread.
std::uint64_t thread_cpu_ns();
// Of this whole process.
std::uint64_t own_cpu_ns();

std::string read_file(const std::filesystem::path& path);

}  // namespace scalio::bench
