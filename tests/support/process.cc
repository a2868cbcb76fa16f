#include "support/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "base/assert.h"

namespace scalio::testing {
namespace {

int open_output(const std::filesystem::path& name, const char* ending) {
  const std::string path = name.string() + ending;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  SCALIO_ASSERT(fd >= 0);
  return fd;
}

ChildProcess start(const std::vector<std::string>& argv, const std::filesystem::path& name) {
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open_output(name, ".out"), err = open_output(name, ".err");
  Result<ChildProcess> child = ChildProcess::start(
      {.argv = argv, .in = in, .out = out, .err = err, .dies_with_thread = true});
  for (const int fd : {in, out, err}) close(fd);
  SCALIO_ASSERT(child.ok());
  return *std::move(child);
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::filesystem::path& name)
    : child_(start(argv, name)), name_(name) {}

std::string Process::out() const { return read_file(name_.string() + ".out"); }
std::string Process::err() const { return read_file(name_.string() + ".err"); }

Finished run(const std::vector<std::string>& argv, const std::filesystem::path& name,
             std::chrono::milliseconds bound) {
  Process process(argv, name);
  const std::optional<ProcessEnd> exit = process.wait(bound);
  if (!exit) process.kill();
  return {exit && !exit->signaled ? exit->code : -1, process.out(), process.err()};
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace scalio::testing
