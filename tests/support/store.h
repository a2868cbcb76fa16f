// A store and its server, as the programs that users have: scalio format, scalio serve.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/scratch.h"

namespace scalio::testing {

// `build/bin/scalio ARGS...`, run to its end, its output kept in the scratch directory.
Finished scalio(const Scratch& scratch, const std::vector<std::string>& args,
                std::chrono::milliseconds bound = std::chrono::seconds(60));

struct StoreOptions {
  int ssds = 2;
  std::string ssd_size = "32M";
  std::vector<std::string> format = {};  // further options of scalio format
  std::string cache = "4M";
  std::vector<std::string> serve = {};  // further options of scalio serve
  std::string rdma = {};                // listen by RDMA at this address, and nowhere else
};

// A formatted store in its own directory, served on a Unix socket and a TCP port, or by RDMA, that
// stay the same over restarts.
class Store {
 public:
  // Formats; fails the test if that fails.
  Store(const Scratch& scratch, StoreOptions options);

  // Starts the server and waits until it is ready; false, with the test failed, if it is not in
  // time.
  bool start();
  // SIGTERM; the server must end well.
  void stop();
  // kill -9.
  void kill();
  bool running() { return server_ && server_->running(); }
  // What the server has logged since its last start.
  std::string log() const { return server_ ? server_->out() + server_->err() : std::string(); }

  // The command that start() starts.
  std::vector<std::string> serve_command() const;
  std::string dir() const { return dir_.string(); }
  std::filesystem::path ssd(int index) const;
  std::string unix_path() const { return (scratch_.sockets() / "server").string(); }
  std::string unix_uri() const { return "unix:" + unix_path(); }
  int port() const { return port_; }
  std::string tcp_uri() const { return "tcp:127.0.0.1:" + std::to_string(port_); }
  std::string rdma_uri() const { return "rdma:" + options_.rdma + ":" + std::to_string(port_); }
  pid_t pid() const { return server_->pid(); }

 private:
  const Scratch& scratch_;
  const StoreOptions options_;
  const std::filesystem::path dir_;
  const int port_;
  int starts_ = 0;
  std::unique_ptr<Process> server_;
};

// The number in environment variable `name`, or `otherwise`: makes a test run longer.
int setting(const char* name, int otherwise);

}  // namespace scalio::testing
