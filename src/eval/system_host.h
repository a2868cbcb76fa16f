// SystemHost: one of the compared systems, served by this process. (Scalio is not: its server is a
// program of its own.)
//
// One fabric server has it all. Its first shard answers requests for statistics, so that a client
// asks first what is served; the second, if there is one, is a Ditto cache; then come the SSDs.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "eval/systems.h"
#include "net/uri.h"

namespace scalio::eval {

constexpr std::uint32_t kStatShard = 0;
constexpr std::uint32_t kCacheShard = 1;
constexpr bool has_ditto(System system) {
  return system == System::leed_ditto || system == System::leed_ditto_adaptive;
}
constexpr std::uint32_t first_ssd_shard(System system) { return has_ditto(system) ? 2 : 1; }

struct HostOptions {
  System system = System::leed;
  std::string dir;                // of what is kept beside the SSDs; made if it is not there
  std::vector<std::string> ssds;  // formatted (format_ssds)
  std::vector<net::Uri> listen;
  std::uint32_t threads = 4;       // that the SSDs are shared out to
  std::uint64_t cache_bytes = 0;   // of all SSDs together; Ditto's whole region
  std::uint64_t record_bytes = 0;  // key and value, for the cache's geometry
  bool batching = true;            // the paper's Scalio: of writes of the log
};

class SystemHost {
 public:
  // Failures: those of the system's server; invalid: also a cache that is too small; io_error:
  // also `dir`.
  static Result<std::unique_ptr<SystemHost>> start(const HostOptions& options);
  ~SystemHost();  // stop()

  // Ends all connections, waits for what is under way, and ends the threads. Idempotent.
  void stop();
  // Where it listens, with the ports that the kernel picked. Not after stop().
  std::vector<net::Uri> addresses() const;

 private:
  struct Impl;
  explicit SystemHost(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// Makes empty stores for about so many records in all. What is on the SSDs is lost. Failures:
// invalid, busy, io_error.
Status format_ssds(System system, const std::vector<std::string>& ssds, std::uint64_t records,
                   std::uint64_t value_size);

}  // namespace scalio::eval
