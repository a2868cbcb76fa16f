// LeedHost: LEED in this process, with or without a Ditto cache beside it, and its statistics.
//
// One fabric server has it all. SSDs are its first shards; then come the statistics and, if there
// is one, the cache. Both of these are on one thread more, whose CPU time counts like the others'.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baseline/ditto/ditto_layout.h"
#include "eval/systems.h"
#include "net/uri.h"

namespace scalio::eval {

struct LeedHostOptions {
  System system = System::leed;   // or one with Ditto
  std::string dir;                // of what is kept beside the SSDs; made if it is not there
  std::vector<std::string> ssds;  // formatted (leed::format_file)
  std::vector<net::Uri> listen;
  std::uint32_t threads = 4;       // that the SSDs are shared out to
  std::uint64_t cache_bytes = 0;   // Ditto's whole region
  std::uint64_t object_bytes = 0;  // of a record, for the cache's geometry
};

// Shards after those of so many SSDs.
constexpr std::uint32_t stat_shard(std::uint32_t ssds) { return ssds; }
constexpr std::uint32_t cache_shard(std::uint32_t ssds) { return ssds + 1; }

// As many slots as the data has room for objects of this size, and an eighth more. Failures:
// invalid: too small.
Result<ditto::DittoGeometry> ditto_geometry(std::uint64_t region_bytes, std::uint64_t object_bytes);

class LeedHost {
 public:
  // Failures: those of LeedServer::start and ditto_geometry; io_error: `dir`.
  static Result<std::unique_ptr<LeedHost>> start(const LeedHostOptions& options);
  ~LeedHost();  // stop()

  // Ends all connections, waits for what is under way, and ends the threads. Idempotent.
  void stop();
  // Where it listens, with the ports that the kernel picked.
  std::vector<net::Uri> addresses() const;

 private:
  struct Impl;
  explicit LeedHost(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::eval
