// The report of a run: figures as they were counted, and what cannot be known left out.
#pragma once

#include <scalio/client.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/histogram.h"
#include "ycsb/workload.h"

namespace scalio::ycsb {

// What latencies are recorded of. A conditional put's get and a read-modify-write's two halves are
// in `get`, `put` and `conditional_put`; the whole of them is in read_modify_write.
enum class Timed : std::uint8_t { get, put, conditional_put, remove, read_modify_write };
constexpr std::size_t kTimedKinds = 5;
std::string_view to_string(Timed timed);

// What the threads of one phase did. One per thread, merged at the end.
struct Tally {
  std::uint64_t operations = 0;  // that ended, errors included
  std::uint64_t gets = 0;  // that were answered, and so on; parts of a read-modify-write included
  std::uint64_t writes = 0;
  std::uint64_t not_found = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t errors = 0;
  std::map<std::string, std::uint64_t, std::less<>> errors_by_code;
  std::map<std::string, std::string, std::less<>> error_messages;  // of each code, the first
  std::array<Histogram, kTimedKinds> latency;                      // ns; errors are not in it
  ClientCounters counters;

  void merge(const Tally& other);
};

// What the server's statistics said. Absent: the server does not give it.
struct ServerCounters {
  std::optional<std::uint64_t> process_cpu_us;  // all of the server's process
  std::optional<std::uint64_t> nic_cpu_us;      // of it, the thread that stands in for the NIC
  std::optional<std::uint64_t> ssd_reads;       // all devices together
  std::optional<std::uint64_t> ssd_writes;
  std::optional<std::uint64_t> writes = {};  // of clients: puts of all kinds and deletes
  // Which process it is: what it counted before says nothing about another.
  std::optional<std::uint64_t> pid = {};
  std::optional<std::uint64_t> started_unix_ms = {};
  // Of the process that offers the SSDs over NVMe/TCP, in place of a NIC.
  std::optional<std::uint64_t> target_cpu_us = {};

  // From the JSON of Client::stat(); of anything else, nothing.
  static ServerCounters parse(std::string_view stat_json);
  // What was added since `before`; absent where either is, and everything if it was another
  // process.
  ServerCounters since(const ServerCounters& before) const;
};

struct Phase {
  double seconds = 0;  // to the last success, if it ended before its time
  Tally tally;
  ServerCounters server;  // what was added
  std::string stopped;    // why it ended before its time; empty if it did not
};

// Figures that follow from the counts; absent where they have no meaning.
struct Figures {
  explicit Figures(const Phase& phase);

  std::optional<double> throughput;              // operations that succeeded, a second
  std::optional<double> cache_hit_ratio;         // of GETs, 0..1
  std::optional<double> ssd_reads_per_get_miss;  // read by the clients
  std::optional<double> ssd_writes_per_put;  // by the server: log and merges; per write of any kind
  std::optional<double> server_cpu_us_per_op;  // without the NIC's stand-in
  std::optional<double> nic_cpu_us_per_op;
  std::optional<double> target_cpu_us_per_op;
  // Region bytes read / hits. Misses read the region too, so it is given only if 1 % of GETs or
  // less missed, and is then at most 3 % too high.
  std::optional<double> region_bytes_per_hit;
  // Why none of the server's figures is given; empty if they are.
  std::string no_server_figures;
};

struct Report {
  Workload workload;
  unsigned threads = 0;
  unsigned depth = 0;
  unsigned load_depth = 0;     // 0: no records were loaded
  std::uint64_t key_size = 0;  // bytes
  std::uint64_t seed = 0;
  std::string server;         // its URI
  std::optional<Phase> load;  // absent: no records were loaded
  std::optional<Phase> run;   // absent: 0 operations were asked for
  std::string server_stat;    // the server's statistics at the end, JSON
  Status history;             // the first failure to write it
};

// Operations of both phases that ended in errors.
std::uint64_t errors(const Report& report);

// For programs. Scripts rely on these names: workload, records, operations, seconds, throughput,
// latency_us (get, put, cput, delete, rmw: each p50, p99, p99.9), cache_hit_ratio,
// ssd_reads_per_get_miss, ssd_writes_per_put, server_cpu_us_per_op, nic_cpu_us_per_op,
// target_cpu_us_per_op, region_bytes_per_hit, hits, misses and errors; those of the load are under
// "load", but errors and errors_by_code, which are of both phases. What has no meaning is null.
std::string to_json(const Report& report);
// The same for people.
std::string to_table(const Report& report);

}  // namespace scalio::ycsb
