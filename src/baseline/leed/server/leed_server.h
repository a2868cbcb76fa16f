// LeedServer: a LEED server of several SSDs in this process: for each an engine and a service, on
// threads that share the SSDs out in turn.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baseline/leed/leed_engine.h"
#include "baseline/system/server/ssd_server.h"

namespace scalio::leed {

struct LeedServerOptions {
  baseline::SsdServerOptions server;  // with 4 threads as the paper's SSD cores
  std::optional<LeedOptions> engine;
};

// Makes an empty store for about so many records of it. What was there is lost. Failures: invalid,
// busy, io_error.
Status format_file(const std::string& path, std::uint64_t records, std::uint64_t hash_seed);

class LeedServer {
 public:
  // By the transports of a table, which must outlive it. Failures: those of LeedEngine::open and
  // SsdServer::start.
  static Result<std::unique_ptr<LeedServer>> start(std::span<const fabric::ServerTransport> table,
                                                   LeedServerOptions options);

  // Ends all connections, waits for what is under way, and ends the threads. Idempotent; also done
  // at the end.
  void stop() { server_->stop(); }

  std::vector<net::Uri> addresses() const { return server_->addresses(); }
  // Of all SSDs.
  LeedCounters counters();
  block::Counters device_counters() { return server_->device_counters(); }
  // CPU time of the threads so far; and of what stands in for a NIC.
  Nanos cpu_time() const { return server_->cpu_time(); }
  Nanos nic_cpu_time() const { return server_->nic_cpu_time(); }

 private:
  explicit LeedServer(std::unique_ptr<baseline::SsdServer> server) : server_(std::move(server)) {}
  const std::unique_ptr<baseline::SsdServer> server_;
};

}  // namespace scalio::leed
