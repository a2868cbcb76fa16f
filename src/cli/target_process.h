// TargetProcess: `scalio nvmf-target` for the SSDs of a server, as a process of its own, so that
// its CPU time, which stands for a NIC's, is never mixed with the store's.
#pragma once

#include <scalio/status.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/child_process.h"
#include "net/unique_fd.h"
#include "net/uri.h"
#include "task/executor.h"

namespace scalio::cli {

// Thread-safe.
class TargetProcess {
 public:
  struct Settings {
    std::string log_level;
    unsigned clients;  // whose connections it takes; 0: as its own option says
    unsigned threads;
    Nanos spin;
    std::string dhchap = {};  // the file of its hosts' secrets, if they are to prove who they are
  };
  // Starts it and waits until hosts can connect. If it dies, it is started again at the same
  // address, at most once a second, and that is logged. It ends with this object, or with this
  // process, however that ends. Failures: invalid, busy (its own error is on stderr), unavailable,
  // timed_out.
  static Result<std::unique_ptr<TargetProcess>> start(net::Uri listen,
                                                      std::vector<std::string> ssds,
                                                      Settings settings);
  ~TargetProcess();
  TargetProcess(const TargetProcess&) = delete;
  TargetProcess& operator=(const TargetProcess&) = delete;

  // Where it listens, with the port that the kernel picked.
  net::Uri address() const {
    std::lock_guard lock(mutex_);
    return address_;
  }
  // CPU time of the processes that there were.
  std::optional<Nanos> cpu_time() const;

 private:
  TargetProcess(net::Uri listen, std::vector<std::string> ssds, Settings settings);
  Status launch();
  void supervise();
  void keep_running(std::unique_lock<std::mutex>& lock);

  const std::vector<std::string> ssds_;
  const Settings settings_;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  net::Uri address_;
  std::optional<ChildProcess> child_;  // nothing: none runs
  net::UniqueFd stdin_;                // its end is what ends the process
  bool stopping_ = false;
  bool supervised_ = false;   // the supervisor has done its work
  Nanos ended_cpu_time_ = 0;  // of processes that have ended

  std::thread supervisor_;
};

}  // namespace scalio::cli
