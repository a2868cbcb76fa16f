// PaperServer: a server of the paper's Scalio of several SSDs in this process: for each an engine,
// a cache and a service, on threads that share the SSDs out in turn.
//
// To run it: format_file() each SSD, start(), and give clients the addresses:
//
//   PaperClient::connect(loop,
//       [&](std::uint32_t ssd, Bytes hello) {
//         return fabric::connect(table, loop, address, ssd, std::move(hello), {});
//       },
//       [&](std::uint32_t ssd) { return ...; });  // the SSD, for reading
//
// A client on this machine can open a file with block::Access::read_only; another one reaches it as
// a namespace of a target. The server itself offers the SSDs to nobody.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baseline/paper/paper_engine.h"
#include "baseline/system/server/ssd_server.h"

namespace scalio::paper {

struct PaperServerOptions {
  baseline::SsdServerOptions server;
  PaperOptions engine;
  CacheShape shape;  // of each SSD's cache
};

// The cache that has room in so many bytes of memory, of one SSD among so many, for records to this
// size: as many blocks as there is room for.
CacheShape shape_for(std::uint64_t memory, std::size_t ssds, std::uint32_t record_bytes,
                     std::uint32_t slots = 8);

// Makes an empty store for about so many records with values to this size. What was there is lost.
// Failures: invalid, busy, io_error.
Status format_file(const std::string& path, std::uint64_t records, std::uint32_t value_size,
                   std::uint64_t hash_seed);

class PaperServer {
 public:
  // By the transports of a table, which must outlive it. Failures: those of PaperEngine::open and
  // SsdServer::start; invalid: an address of a transport whose CAS is a NIC's.
  static Result<std::unique_ptr<PaperServer>> start(std::span<const fabric::ServerTransport> table,
                                                    PaperServerOptions options);

  // Ends all connections, waits for what is under way, merges what is dirty, and ends the threads.
  // Idempotent; also done at the end.
  void stop() { server_->stop(); }

  std::vector<net::Uri> addresses() const { return server_->addresses(); }
  // Of all SSDs.
  PaperCounters counters();
  block::Counters device_counters() { return server_->device_counters(); }
  // CPU time of the threads so far; and of what stands in for a NIC.
  Nanos cpu_time() const { return server_->cpu_time(); }
  Nanos nic_cpu_time() const { return server_->nic_cpu_time(); }

 private:
  explicit PaperServer(std::unique_ptr<baseline::SsdServer> server) : server_(std::move(server)) {}
  const std::unique_ptr<baseline::SsdServer> server_;
};

}  // namespace scalio::paper
