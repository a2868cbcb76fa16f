#include "ycsb/report.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace scalio::ycsb {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kNsPerUs = 1000;
struct Percentile {
  const char* name;
  double percent;
};
constexpr std::array<Percentile, 3> kPercentiles{{{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}}};
constexpr std::array<Timed, kTimedKinds> kTimed{Timed::get, Timed::put, Timed::conditional_put,
                                                Timed::remove, Timed::read_modify_write};

template <class A, class B>
std::optional<double> ratio(std::optional<A> part, std::optional<B> whole) {
  if (!part || !whole || *whole == B{}) return std::nullopt;
  return static_cast<double>(*part) / static_cast<double>(*whole);
}

template <class T>
Json json_or_null(const std::optional<T>& v) {
  return v ? Json(*v) : Json(nullptr);
}

Json latency_json(const Tally& tally) {
  Json out;
  for (Timed timed : kTimed) {
    const Histogram& h = tally.latency[static_cast<std::size_t>(timed)];
    Json& kind = out[std::string(to_string(timed))];
    if (h.count() == 0) continue;
    for (const Percentile& p : kPercentiles) {
      kind[p.name] = static_cast<double>(h.percentile(p.percent)) / kNsPerUs;
    }
  }
  return out;
}

// What the report and the phase "load" in it have in common.
void put_phase(Json& out, const Phase& phase) {
  Figures figures(phase);
  const Tally& tally = phase.tally;
  out["operations"] = tally.operations;
  out["seconds"] = phase.seconds;
  out["throughput"] = json_or_null(figures.throughput);
  out["latency_us"] = latency_json(tally);
  out["cache_hit_ratio"] = json_or_null(figures.cache_hit_ratio);
  out["ssd_reads_per_get_miss"] = json_or_null(figures.ssd_reads_per_get_miss);
  out["ssd_writes_per_put"] = json_or_null(figures.ssd_writes_per_put);
  out["server_cpu_us_per_op"] = json_or_null(figures.server_cpu_us_per_op);
  out["nic_cpu_us_per_op"] = json_or_null(figures.nic_cpu_us_per_op);
  out["target_cpu_us_per_op"] = json_or_null(figures.target_cpu_us_per_op);
  out["region_bytes_per_hit"] = json_or_null(figures.region_bytes_per_hit);
  out["gets"] = tally.gets;
  out["writes"] = tally.writes;
  out["hits"] = tally.counters.hits;
  out["misses"] = tally.counters.misses;
  out["not_found"] = tally.not_found;
  out["conflicts"] = tally.conflicts;
  out["errors"] = tally.errors;
  out["errors_by_code"] = Json(tally.errors_by_code);
  out["error_messages"] = Json(tally.error_messages);
  out["stopped"] = phase.stopped.empty() ? Json(nullptr) : Json(phase.stopped);
}

// A number with few digits, but enough.
std::string brief(double v) {
  if (v >= 1000) return fmt::format("{:.0f}", v);
  return v >= 10 ? fmt::format("{:.1f}", v) : fmt::format("{:.3f}", v);
}

void line(std::string& out, std::string_view name, std::string_view value) {
  fmt::format_to(std::back_inserter(out), "  {:<24}{}\n", printable(name), printable(value));
}

void line(std::string& out, std::string_view name, const std::optional<double>& value,
          std::string_view unit = "") {
  line(out, name, value ? brief(*value) + std::string(unit) : "-");
}

void put_phase(std::string& out, std::string_view title, const Phase& phase) {
  Figures figures(phase);
  const Tally& tally = phase.tally;
  fmt::format_to(std::back_inserter(out), "{}: {} operations in {:.1f} s\n", title,
                 tally.operations, phase.seconds);
  line(out, "throughput", figures.throughput, " /s");
  for (Timed timed : kTimed) {
    const Histogram& h = tally.latency[static_cast<std::size_t>(timed)];
    if (h.count() == 0) continue;
    std::string text;
    for (const Percentile& p : kPercentiles) {
      text += fmt::format("{} {}  ", p.name,
                          brief(static_cast<double>(h.percentile(p.percent)) / kNsPerUs));
    }
    line(out, fmt::format("{} latency, us", to_string(timed)), text);
  }
  line(out, "cache hit ratio", figures.cache_hit_ratio);
  line(out, "SSD reads / GET miss", figures.ssd_reads_per_get_miss);
  line(out, "SSD writes / PUT", figures.ssd_writes_per_put);
  line(out, "server CPU / operation", figures.server_cpu_us_per_op, " us");
  if (figures.nic_cpu_us_per_op)
    line(out, "NIC stand-in CPU / op", figures.nic_cpu_us_per_op, " us");
  if (figures.target_cpu_us_per_op)
    line(out, "NVMe target CPU / op", figures.target_cpu_us_per_op, " us");
  if (tally.not_found > 0) line(out, "not found", fmt::format("{} GETs", tally.not_found));
  if (tally.conflicts > 0) line(out, "conflicts", fmt::format("{}", tally.conflicts));
  line(out, "errors", fmt::format("{}", tally.errors));
  for (const auto& [code, count] : tally.errors_by_code) {
    const auto message = tally.error_messages.find(code);
    const bool told = message != tally.error_messages.end();
    line(out, "  " + code,
         fmt::format("{}{}{}", count, told ? "; the first: " : "", told ? message->second : ""));
  }
  if (!figures.no_server_figures.empty()) line(out, "server figures", figures.no_server_figures);
  if (!phase.stopped.empty()) line(out, "stopped early", phase.stopped);
}

}  // namespace

std::string_view to_string(Timed timed) {
  switch (timed) {
    case Timed::get: return "get";
    case Timed::put: return "put";
    case Timed::conditional_put: return "cput";
    case Timed::remove: return "delete";
    case Timed::read_modify_write: return "rmw";
  }
  return "?";
}

void Tally::merge(const Tally& other) {
  operations += other.operations;
  gets += other.gets;
  writes += other.writes;
  not_found += other.not_found;
  conflicts += other.conflicts;
  errors += other.errors;
  for (const auto& [code, count] : other.errors_by_code) errors_by_code[code] += count;
  error_messages.insert(other.error_messages.begin(), other.error_messages.end());
  for (std::size_t i = 0; i < kTimedKinds; ++i) latency[i].merge(other.latency[i]);
  counters.gets += other.counters.gets;
  counters.hits += other.counters.hits;
  counters.misses += other.counters.misses;
  counters.region_bytes_read += other.counters.region_bytes_read;
  counters.ssd_reads += other.counters.ssd_reads;
}

ServerCounters ServerCounters::parse(std::string_view stat_json) {
  ServerCounters out;
  const Json stat = parse_json<Json>(stat_json);
  auto number = [](const Json& in, const char* name) -> std::optional<std::uint64_t> {
    if (!in.is_object() || !in.contains(name) || !in[name].is_number_unsigned())
      return std::nullopt;
    return in[name].get<std::uint64_t>();
  };
  out.process_cpu_us = number(stat, "process_cpu_us");
  out.nic_cpu_us = number(stat, "nic_cpu_us");
  out.target_cpu_us = number(stat, "target_cpu_us");
  out.ssd_reads = number(stat, "ssd_reads");
  out.ssd_writes = number(stat, "ssd_writes");
  out.pid = number(stat, "pid");
  out.started_unix_ms = number(stat, "started_unix_ms");
  if (stat.is_object() && stat.contains("shards")) {
    for (const Json& shard : stat["shards"]) {
      if (!shard.is_object() || !shard.contains("writes")) continue;
      for (const char* kind : {"puts", "deletes", "conditional_puts", "conflicts"}) {
        out.writes = out.writes.value_or(0) + number(shard["writes"], kind).value_or(0);
      }
    }
  }
  return out;
}

ServerCounters ServerCounters::since(const ServerCounters& before) const {
  if (pid != before.pid || started_unix_ms != before.started_unix_ms) return {};
  auto added = [](std::optional<std::uint64_t> now, std::optional<std::uint64_t> then) {
    return now && then && *now >= *then ? std::optional(*now - *then) : std::nullopt;
  };
  return {.process_cpu_us = added(process_cpu_us, before.process_cpu_us),
          .nic_cpu_us = added(nic_cpu_us, before.nic_cpu_us),
          .ssd_reads = added(ssd_reads, before.ssd_reads),
          .ssd_writes = added(ssd_writes, before.ssd_writes),
          .writes = added(writes, before.writes),
          .pid = pid,
          .started_unix_ms = started_unix_ms,
          .target_cpu_us = added(target_cpu_us, before.target_cpu_us)};
}

Figures::Figures(const Phase& phase) {
  const Tally& tally = phase.tally;
  const ClientCounters& counters = tally.counters;
  std::optional operations(tally.operations);
  std::optional hits(counters.hits);
  throughput = ratio(std::optional(tally.operations - tally.errors), std::optional(phase.seconds));
  // Misses that could not read an SSD are errors, and tell nothing about the cache.
  if (counters.misses == 0 || counters.ssd_reads > 0) {
    cache_hit_ratio = ratio(hits, std::optional(counters.hits + counters.misses));
    ssd_reads_per_get_miss =
        ratio(std::optional(counters.ssd_reads), std::optional(counters.misses));
  }
  if (counters.misses <= counters.gets / 100) {
    region_bytes_per_hit = ratio(std::optional(counters.region_bytes_read), hits);
  }

  const ServerCounters& server = phase.server;
  // A write that ended in an error may have been done.
  const std::uint64_t ours = tally.writes + tally.errors;
  if (!server.process_cpu_us && !server.ssd_writes) {
    no_server_figures = "none: it was restarted, or did not answer";
    return;
  }
  if (server.writes && *server.writes > ours + ours / 100) {
    no_server_figures = fmt::format("none: it had {} writes, of which this run sent {} at most",
                                    *server.writes, ours);
    return;
  }
  ssd_writes_per_put = ratio(server.ssd_writes, std::optional(tally.writes));
  std::uint64_t nic = server.nic_cpu_us.value_or(0);
  if (server.process_cpu_us && *server.process_cpu_us >= nic) {
    server_cpu_us_per_op = ratio(std::optional(*server.process_cpu_us - nic), operations);
  }
  // Over shared memory nothing stands in for the NIC.
  if (nic > 0) nic_cpu_us_per_op = ratio(std::optional(nic), operations);
  target_cpu_us_per_op = ratio(server.target_cpu_us, operations);
}

std::uint64_t errors(const Report& report) {
  std::uint64_t n = 0;
  for (const std::optional<Phase>* phase : {&report.load, &report.run}) {
    if (*phase) n += (*phase)->tally.errors;
  }
  return n;
}

std::string to_json(const Report& report) {
  Json out;
  out["workload"] = report.workload.name;
  out["records"] = report.workload.records;
  // Without a run its figures are null, not missing: a reader need not know what was asked for.
  Phase nothing;
  put_phase(out, report.run ? *report.run : nothing);
  if (!report.run) out["seconds"] = nullptr;
  // One number to look at, whichever phase failed.
  out["errors"] = errors(report);
  Tally both;
  for (const std::optional<Phase>* phase : {&report.load, &report.run}) {
    if (*phase) both.merge((*phase)->tally);
  }
  out["errors_by_code"] = Json(both.errors_by_code);
  out["error_messages"] = Json(both.error_messages);
  out["load"] = nullptr;
  if (report.load) {
    Json& load = out["load"] = Json::object();
    load["records"] = report.workload.loaded();
    put_phase(load, *report.load);
  }
  out["config"] = {
      {"server", report.server},
      {"distribution", to_string(report.workload.distribution)},
      {"zipfian_constant", report.workload.zipfian_constant},
      {"insert_start", report.workload.insert_start},
      {"target", report.workload.target == 0 ? Json(nullptr) : Json(report.workload.target)},
      {"max_seconds", json_or_null(report.workload.max_seconds)},
      {"threads", report.threads},
      {"depth", report.depth},
      {"load_depth", report.load_depth == 0 ? Json(nullptr) : Json(report.load_depth)},
      {"key_size", report.key_size},
      {"value_size", report.workload.value_size},
      {"seed", report.seed}};
  Json stat = parse_json<Json>(report.server_stat);
  out["server"] = stat.is_discarded() ? Json(nullptr) : stat;
  return json_text(out, 2);
}

std::string to_table(const Report& report) {
  std::string out = fmt::format(
      "workload {}, {} records of {} + {} bytes, {} thread{} x {} in flight\n",
      printable(report.workload.name), report.workload.records, report.key_size,
      report.workload.value_size, report.threads, report.threads == 1 ? "" : "s", report.depth);
  if (report.load) put_phase(out, "load", *report.load);
  if (report.run) put_phase(out, "run", *report.run);
  return out;
}

}  // namespace scalio::ycsb
