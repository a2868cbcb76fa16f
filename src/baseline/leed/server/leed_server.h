// LeedServer: a LEED server of several SSDs in this process: for each an engine and a service, on
// threads that share the SSDs out in turn.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baseline/leed/leed_engine.h"
#include "block/block_device.h"
#include "fabric/server/fabric_server.h"
#include "task/event_loop.h"

namespace scalio::leed {

struct LeedServerOptions {
  // Opens an SSD that was formatted, on the thread of this loop.
  using Opener = std::function<Task<Result<std::unique_ptr<block::BlockDevice>>>(EventLoop&)>;
  std::vector<Opener> ssds;
  std::uint32_t threads = 4;  // the paper's SSD cores; at most as many as there are SSDs
  std::optional<LeedOptions> engine;
  std::vector<net::Uri> listen;
  // Served beside the SSDs, whose numbers come first. Must outlive the server.
  std::vector<fabric::ShardEndpoint> further_shards;
  std::string epoch_file;  // of the server's own; made if it is not there
  fabric::Limits limits;
};

// A file or device that stands for an SSD, for this process alone.
LeedServerOptions::Opener open_file(std::string path);
// Makes an empty store for about so many records of it. What was there is lost. Failures: invalid,
// busy, io_error.
Status format_file(const std::string& path, std::uint64_t records, std::uint64_t hash_seed);

class LeedServer {
 public:
  // By the transports of a table, which must outlive it. Failures: those of LeedEngine::open and
  // FabricServer::start; invalid: no SSD, more than kMaxSsds.
  static Result<std::unique_ptr<LeedServer>> start(std::span<const fabric::ServerTransport> table,
                                                   LeedServerOptions options);
  ~LeedServer();  // stop()

  // Ends all connections, waits for what is under way, and ends the threads. Idempotent.
  void stop();

  std::vector<net::Uri> addresses() const;
  // Of all SSDs.
  LeedCounters counters();
  block::Counters device_counters();
  // CPU time of the threads so far; that of what stands in for a NIC is not in it.
  Nanos cpu_time() const;
  // Of what stands in for a NIC.
  Nanos nic_cpu_time() const;

 private:
  struct Impl;
  explicit LeedServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::leed
