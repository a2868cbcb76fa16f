// Rival: a key-value store that people would pick instead, run by us for one measurement.
//
// A rival starts what it needs by itself, in a scratch directory that is gone afterwards, and holds
// itself to the memory that it is given. Those of other processes are on a unix socket there, and
// are killed when they are no longer needed, also if this process dies.
#pragma once

#include <scalio/status.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baseline/system/kv_client.h"
#include "task/event_loop.h"

namespace scalio::eval {

struct RivalOptions {
  std::string scratch = "/var/tmp";               // where its directory is made
  std::uint64_t memory = std::uint64_t{1} << 30;  // bytes, for records, caches and write buffers
  std::uint32_t in_flight = 64;                   // operations, of all clients together
};

// What the server has used since it started. Absent: this machine does not tell.
struct RivalUse {
  pid_t pid = 0;  // of the server; our own if it has no process
  std::uint64_t cpu_us = 0;
  std::optional<std::uint64_t> ssd_reads, ssd_writes;
  std::optional<std::uint64_t> ssd_bytes_read, ssd_bytes_written;
};

class Rival {
 public:
  // Ends the server. Its clients are gone.
  virtual ~Rival() = default;

  // Thread-safe. The client belongs to the loop's thread. Failures: unavailable.
  virtual Result<std::unique_ptr<baseline::KvClient>> connect(EventLoop& loop) = 0;
  // Thread-safe.
  virtual RivalUse use() const = 0;
  // What holds it to its memory, for people.
  virtual std::string memory_limit() const = 0;
};

struct RivalRow {
  std::string_view name;
  std::string_view what;
  // It may drop records to make room for others, so that a GET may find nothing.
  bool cache;
  // Failures: unavailable: it is not installed, or did not start, with what it said; io_error: the
  // scratch directory. It is to be called by a thread that outlives the rival.
  Result<std::unique_ptr<Rival>> (*start)(const RivalOptions& options);
};

std::span<const RivalRow> rivals();
const RivalRow* find_rival(std::string_view name);
std::vector<std::string> rival_names();

}  // namespace scalio::eval
