// SsdServer: the server of a compared system of which each SSD is a shard of its own. It opens them
// on a few threads, which share them out in turn, and serves them by transports. What a shard does
// is the system's.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "fabric/region.h"
#include "fabric/server/fabric_server.h"
#include "task/event_loop.h"

namespace scalio::baseline {

// Opens an SSD that was formatted, on the thread of this loop.
using SsdOpener = std::function<Task<Result<std::unique_ptr<block::BlockDevice>>>(EventLoop&)>;
// A file or device that stands for an SSD, for this process alone.
SsdOpener open_file(std::string path);
// Opens such a file for this call, and does this to it. Failures: of opening, busy among them, and
// its own.
Status run_on_file(const std::string& path,
                   const std::function<Task<Status>(block::BlockDevice&)>& what);

// One SSD's part of a system, on its thread.
class SsdShard {
 public:
  virtual ~SsdShard() = default;

  // The SSD has this number among so many. Loop and device outlive the shard.
  virtual Task<Status> open(EventLoop& loop, block::BlockDevice& device, std::uint32_t number,
                            std::uint32_t of) = 0;
  // Once it is open.
  virtual fabric::Region& region() = 0;
  virtual fabric::Service& service() = 0;
  // Also if it did not open. Nobody is connected any more; what was asked for may still be under
  // way.
  virtual Task<Status> close() = 0;
};

struct SsdServerOptions {
  std::string name = "ssd";  // of the threads, at most 10 characters
  std::vector<SsdOpener> ssds;
  std::uint32_t threads = 4;  // at most as many as there are SSDs
  std::vector<net::Uri> listen;
  // Served beside the SSDs, which are numbered after them. Must outlive the server.
  std::vector<fabric::LaneEndpoint> first_shards;
  std::string epoch_file;  // of the server's own; made if it is not there
  fabric::Limits limits;
};

class SsdServer {
 public:
  // By the transports of a table, which must outlive it. `make` is called for each SSD. Failures:
  // those of the openers, of SsdShard::open and of FabricServer::start; invalid: no SSD, too many.
  static Result<std::unique_ptr<SsdServer>> start(
      std::span<const fabric::ServerTransport> table, SsdServerOptions options,
      const std::function<std::unique_ptr<SsdShard>()>& make);
  ~SsdServer();  // stop()

  // Ends all connections, waits for what is under way, and ends the threads. Idempotent.
  void stop();

  // Not after stop().
  std::vector<net::Uri> addresses() const;
  // Calls it for one shard after the other, on the shard's thread. Not after stop().
  void visit(const std::function<void(SsdShard&)>& what);
  // Of all SSDs; not after stop().
  block::Counters device_counters();
  // CPU time of the threads so far; that of what stands in for a NIC is not in it.
  Nanos cpu_time() const;
  // Of what stands in for a NIC; 0 after stop().
  Nanos nic_cpu_time() const;

 private:
  struct Impl;
  explicit SsdServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::baseline
