// ServerProcess: a rival's server, a program of Debian's, as a child of this process.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "eval/rivals/memory_cgroup.h"
#include "eval/rivals/rival.h"
#include "eval/rivals/scratch_directory.h"
#include "net/unique_fd.h"

namespace scalio::eval {

struct ServerProgram {
  // Without what depends on the scratch directory, which `arguments` adds.
  std::string program;
  std::string package;  // Debian's, that has it
  std::vector<std::string> (*arguments)(const RivalOptions& options, const std::string& directory,
                                        const std::string& socket);
};

class ServerProcess {
 public:
  // Returns once it accepts connections. Failures: those of RivalRow::start.
  static Result<std::unique_ptr<ServerProcess>> start(const ServerProgram& program,
                                                      const RivalOptions& options);

  // Thread-safe. A connection to it. Failures: unavailable.
  Result<net::UniqueFd> connect() const;
  // Thread-safe.
  RivalUse use() const;
  // What holds its memory beside its own options.
  const std::string& cgroup_text() const { return cgroup_text_; }

 private:
  explicit ServerProcess(std::unique_ptr<ScratchDirectory> directory)
      : directory_(std::move(directory)), socket_(*directory_ / "socket") {}
  Status launch(const ServerProgram& program, const RivalOptions& options);
  Status wait_until_ready(const std::string& program);
  std::string last_words() const;

  // In this order, so that the process ends before what it uses goes.
  const std::unique_ptr<ScratchDirectory> directory_;
  const std::string socket_;
  std::unique_ptr<MemoryCgroup> cgroup_;  // absent: the machine has none for us
  std::string cgroup_text_;
  std::unique_ptr<ChildProcess> child_;
};

// A group for so much memory of a rival, and what is to be said about it: why there is none, if so.
struct RivalCgroup {
  std::unique_ptr<MemoryCgroup> group;
  std::string text;
};
RivalCgroup make_rival_cgroup(std::uint64_t memory, pid_t pid);

}  // namespace scalio::eval
