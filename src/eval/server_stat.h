// ServerStat: what a server says of itself: Scalio's `scalio stat`, and what a SystemHost tells
// under the same names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ycsb/report.h"

namespace scalio::eval {

// What is absent the server does not tell.
struct ServerStat {
  std::optional<std::string> system;  // as in systems.h
  std::optional<std::uint64_t> ssds;
  std::vector<std::string> ssd_paths;  // on the server; not of Scalio
  std::optional<std::uint64_t> slots;  // of a cache block
  // Sums since it started.
  ycsb::ServerCounters counters;
  std::optional<std::uint64_t> ssd_bytes_read, ssd_bytes_written;

  // Of what is no such JSON, nothing.
  static ServerStat parse(std::string_view json);
  // The sums since `before`, and the rest as it is; no sums if it was another process.
  ServerStat since(const ServerStat& before) const;
};

}  // namespace scalio::eval
