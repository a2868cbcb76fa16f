// KvClient: a client of any of the systems that are compared, as the benchmark's runner sees it.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace scalio::baseline {

// What a client has done since it connected. Counts, never estimates; 0 where a system has no such
// thing.
struct KvCounters {
  std::uint64_t gets = 0;
  std::uint64_t hits = 0;             // GETs answered from the server's memory
  std::uint64_t ssd_reads = 0;        // by the client itself
  std::uint64_t ssd_bytes = 0;        // read by them
  std::uint64_t one_sided = 0;        // READs, WRITEs and CAS on the server's memory
  std::uint64_t one_sided_bytes = 0;  // READ and written by them
  std::uint64_t messages = 0;         // requests to the server

  KvCounters& operator+=(const KvCounters& o) {
    gets += o.gets;
    hits += o.hits;
    ssd_reads += o.ssd_reads;
    ssd_bytes += o.ssd_bytes;
    one_sided += o.one_sided;
    one_sided_bytes += o.one_sided_bytes;
    messages += o.messages;
    return *this;
  }
};

// Keys and values must live until the task has ended. All calls on one thread; many operations may
// be in flight at once.
class KvClient {
 public:
  virtual ~KvClient() = default;

  // Failures: not_found, and whatever keeps the system from answering.
  virtual Task<Result<std::string>> get(std::string_view key) = 0;
  // Ok: as durable as the system promises.
  virtual Task<Status> put(std::string_view key, std::string_view value) = 0;
  // Ok also if there was nothing.
  virtual Task<Status> remove(std::string_view key) = 0;

  virtual KvCounters counters() const = 0;
};

}  // namespace scalio::baseline
