// Point: what one run of one system has shown, measured or simulated: a point of a figure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace scalio::eval {

// Of a resource of the server, the share of the time that it had something to do.
struct Utilization {
  std::string what;  // such as "core 3 (ssd)"
  double share = 0;  // 0 to 1
};

// What is absent is not known, or has no meaning.
struct Point {
  std::string system;   // as in systems.h, or a rival's name
  std::string machine;  // "this": the one that it ran on
  bool simulated = false;
  std::string workload;  // YCSB's letter
  std::optional<std::uint64_t> ssds;
  std::optional<std::uint64_t> cores;      // of the server
  std::optional<std::uint64_t> in_flight;  // operations, of all clients together
  std::optional<std::uint64_t> batch;      // most operations of a message or of a log write
  std::optional<double> skew;              // absent: uniform
  std::optional<std::uint64_t> records;
  std::optional<std::uint64_t> slots;  // of a cache block
  std::optional<std::uint64_t> value_size;
  std::optional<std::uint64_t> seed;
  std::uint64_t operations = 0;
  double seconds = 0;
  std::optional<double> throughput;  // operations of the workload a second
  // Of whole operations: a read-modify-write is one.
  std::optional<double> avg_us, p50_us, p99_us;
  std::optional<double> hit_ratio;  // of GETs, 0 to 1
  // Counted at the devices, the server's and those that clients have opened.
  std::optional<double> ssd_reads_per_s, ssd_writes_per_s;
  // As the paper's artifact computes it from operations.
  std::optional<double> ssd_ios_per_s_by_formula;
  std::optional<double> server_cpu_us_per_op;  // without what stands in for NIC or offload engine
  std::optional<std::string> full;             // the resource that holds it back
  std::vector<Utilization> busy;
  // At the devices.
  std::optional<double> bytes_read_per_op, bytes_written_per_op;
  std::optional<double> network_bytes_per_op;
  // CPU time of the threads and processes that stand in for NIC and offload engine.
  std::optional<double> stand_in_cpu_us_per_op;
  std::optional<std::string> memory_limit;  // of what was started: what holds it to its memory
  std::uint64_t errors = 0;                 // operations that failed
};

// One line of JSON, without its end. Scripts rely on the names, which are the members'.
std::string to_json(const Point& point);

}  // namespace scalio::eval
