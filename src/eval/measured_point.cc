#include "eval/measured_point.h"

#include <fmt/format.h>

#include <iterator>

namespace scalio::eval {
namespace {

using Count = std::optional<std::uint64_t>;

constexpr double kNsPerUs = 1000;

std::optional<double> per(const Count& part, double whole) {
  if (!part || whole <= 0) return std::nullopt;
  return static_cast<double>(*part) / whole;
}

// The server's count and the clients'; nothing if the server's is not known.
Count with_clients(const Count& server, std::uint64_t clients) {
  return server ? Count(*server + clients) : std::nullopt;
}

void put_config(Point& p, const KvRunOptions& o, const ServerStat& server) {
  p.workload = o.workload.name;
  p.ssds = server.ssds;
  p.slots = server.slots;
  p.in_flight = std::uint64_t{o.threads} * o.depth;
  if (o.workload.distribution != ycsb::Distribution::uniform) p.skew = o.workload.zipfian_constant;
  p.records = o.workload.records;
  p.value_size = o.workload.value_size;
  p.seed = o.seed;
}

void put_latency(Point& p, const Histogram& latency) {
  if (latency.count() == 0) return;
  p.avg_us = latency.mean() / kNsPerUs;
  p.p50_us = static_cast<double>(latency.percentile(50)) / kNsPerUs;
  p.p99_us = static_cast<double>(latency.percentile(99)) / kNsPerUs;
}

void put_server(Point& p, const KvPhase& phase) {
  const ycsb::ServerCounters& server = phase.server.counters;
  const baseline::KvCounters& clients = phase.tally.counters;
  const auto operations = static_cast<double>(phase.tally.operations);
  p.ssd_reads_per_s = per(with_clients(server.ssd_reads, clients.ssd_reads), phase.seconds);
  p.ssd_writes_per_s = per(server.ssd_writes, phase.seconds);
  p.bytes_read_per_op =
      per(with_clients(phase.server.ssd_bytes_read, clients.ssd_bytes), operations);
  p.bytes_written_per_op = per(phase.server.ssd_bytes_written, operations);
  const std::uint64_t nic = server.nic_cpu_us.value_or(0);
  if (server.process_cpu_us && *server.process_cpu_us >= nic) {
    p.server_cpu_us_per_op = per(*server.process_cpu_us - nic, operations);
  }
  if (server.nic_cpu_us) {
    p.stand_in_cpu_us_per_op = per(nic + server.target_cpu_us.value_or(0), operations);
  }
}

}  // namespace

std::optional<IoFormula> io_formula(System system) {
  switch (system) {
    case System::scalio:
    case System::paper: return IoFormula{2, 2};
    case System::leed:
    case System::leed_ditto:
    case System::leed_ditto_adaptive: return IoFormula{2, 3};
  }
  return std::nullopt;
}

Point measured_point(const std::string& system, const std::optional<IoFormula>& formula,
                     const KvRunOptions& options, const KvPhase& phase) {
  const KvTally& tally = phase.tally;
  Point p;
  p.system = system;
  p.machine = "this";
  put_config(p, options, phase.server);
  p.operations = tally.operations;
  p.errors = tally.errors;
  p.seconds = phase.seconds;
  p.throughput = per(tally.operations - tally.errors, phase.seconds);
  put_latency(p, tally.latency);
  // A system that never hits has no cache.
  if (tally.counters.hits > 0) {
    p.hit_ratio = per(tally.counters.hits, static_cast<double>(tally.counters.gets));
  }
  if (formula && phase.seconds > 0) {
    const auto missed = static_cast<double>(tally.gets) * (1 - p.hit_ratio.value_or(0));
    p.ssd_ios_per_s_by_formula =
        (formula->missed_get * missed + formula->put * static_cast<double>(tally.puts)) /
        phase.seconds;
  }
  put_server(p, phase);
  return p;
}

std::string to_table(const Point& p) {
  std::string out =
      fmt::format("{}, workload {}: {} operations in {:.2f} s, {} in flight\n", p.system,
                  p.workload, p.operations, p.seconds, p.in_flight.value_or(0));
  const auto line = [&](std::string_view name, const std::optional<double>& value,
                        std::string_view unit) {
    fmt::format_to(std::back_inserter(out), "  {:<22}{}\n", name,
                   value ? fmt::format("{:.{}f} {}", *value, *value < 100 ? 3 : 0, unit) : "-");
  };
  line("throughput", p.throughput, "/s");
  line("latency, average", p.avg_us, "us");
  line("latency, p50", p.p50_us, "us");
  line("latency, p99", p.p99_us, "us");
  line("hit ratio", p.hit_ratio, "");
  line("SSD reads", p.ssd_reads_per_s, "/s");
  line("SSD writes", p.ssd_writes_per_s, "/s");
  line("server CPU", p.server_cpu_us_per_op, "us / operation");
  line("stand-ins' CPU", p.stand_in_cpu_us_per_op, "us / operation");
  line("read from SSDs", p.bytes_read_per_op, "B / operation");
  line("written to SSDs", p.bytes_written_per_op, "B / operation");
  fmt::format_to(std::back_inserter(out), "  {:<22}{}\n", "errors", p.errors);
  return out;
}

}  // namespace scalio::eval
