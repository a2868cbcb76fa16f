// Those of the programs beside the server, the gateway and the target, and of any.
#include <nlohmann/json.hpp>

#include "metrics/program_metrics.h"

namespace scalio::metrics {

using enum prometheus::MetricType;

namespace {

constexpr MetricRow kProcess[] = {
    {"/cpu_us", "process_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the process, user and system."},
    {"/started_unix_ms", "process_start_time_seconds", Gauge, 1e-3, "When the process started."},
};

constexpr MetricRow kGateway[] = {
    {"/connected", "scalio_redis_connections", Gauge, 1, "Clients of Redis that are connected."},
    {"/max_clients", "scalio_redis_max_clients", Gauge, 1, "How many may be."},
    {"/accepted", "scalio_redis_connections_total", Counter, 1, "Clients that were taken."},
    {"/refused", "scalio_redis_refused_connections_total", Counter, 1,
     "Clients that were refused: there were too many."},
    {"/commands", "scalio_redis_commands_total", Counter, 1, "Commands of clients."},
    {"/unfinished_bytes", "scalio_redis_unfinished_request_bytes", Gauge, 1,
     "Bytes of requests that are not whole yet."},
    {"/store/gets", "scalio_client_gets_total", Counter, 1, "GETs of the store."},
    {"/store/hits", "scalio_client_get_hits_total", Counter, 1,
     "Those whose record was in the server's memory."},
    {"/store/misses", "scalio_client_get_misses_total", Counter, 1,
     "Those that looked for their record on an SSD."},
    {"/store/fills", "scalio_client_fills_total", Counter, 1,
     "Misses that left in the cache what they found."},
    {"/store/bypasses", "scalio_client_bypasses_total", Counter, 1, "Misses that did not."},
    {"/store/steals", "scalio_client_steals_total", Counter, 1,
     "Slots taken over from a client that had stopped."},
    {"/store/writes", "scalio_client_writes_total", Counter, 1, "Writes that were sent."},
    {"/store/region_reads", "scalio_client_region_reads_total", Counter, 1,
     "READs of the server's memory."},
    {"/store/region_writes", "scalio_client_region_writes_total", Counter, 1, "WRITEs of it."},
    {"/store/region_cas", "scalio_client_region_cas_total", Counter, 1, "Compare-and-swaps in it."},
    {"/store/region_bytes_read", "scalio_client_region_read_bytes_total", Counter, 1,
     "Bytes that were READ."},
    {"/store/ssd_reads", "scalio_client_ssd_reads_total", Counter, 1, "Reads of SSDs."},
    {"/store/ssd_bytes_read", "scalio_client_ssd_read_bytes_total", Counter, 1,
     "Bytes that these read."},
};

constexpr MetricRow kTarget[] = {
    {"/connections", "scalio_nvmf_connections", Gauge, 1, "Connections of hosts: queues."},
    {"/max_connections", "scalio_nvmf_max_connections", Gauge, 1, "How many there may be."},
    {"/namespaces", "scalio_nvmf_namespaces", Gauge, 1, "SSDs that are offered."},
    {"/threads_cpu_us", "scalio_nvmf_threads_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the threads that serve hosts."},
    {"/reads", "scalio_nvmf_reads_total", Counter, 1, "Reads of the SSDs for hosts."},
    {"/bytes_read", "scalio_nvmf_read_bytes_total", Counter, 1, "Bytes that these read."},
    {"/errors", "scalio_nvmf_errors_total", Counter, 1, "I/Os that failed."},
};

std::string text_of(std::span<const MetricRow> rows, const nlohmann::json& figures) {
  MetricFamilies families;
  families.add(kProcess, figures, {});
  families.add(rows, figures, {});
  prometheus::ClientMetric build;
  build.label = {{"version", figures.value("version", "")}};
  build.gauge.value = 1;
  families.add("scalio_build_info", Gauge, "1, with the version of the program.", build);
  return families.text();
}

}  // namespace

std::string readiness_metrics(bool ready, double recovered) {
  MetricFamilies families;
  prometheus::ClientMetric metric;
  metric.gauge.value = ready;
  families.add("scalio_ready", Gauge, "1: clients are served.", metric);
  metric.gauge.value = recovered;
  families.add("scalio_recovered_ratio", Gauge, "What part of the log is recovered.", metric);
  return families.text();
}

std::string gateway_metrics(const nlohmann::json& figures) { return text_of(kGateway, figures); }
std::string target_metrics(const nlohmann::json& figures) { return text_of(kTarget, figures); }

}  // namespace scalio::metrics
