#include "eval/point.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace scalio::eval {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json json_or_null(const std::optional<T>& v) {
  return v ? Json(*v) : Json(nullptr);
}

}  // namespace

std::string to_json(const Point& p) {
  Json busy = Json::array();
  for (const Utilization& u : p.busy) busy.push_back({{"what", u.what}, {"utilization", u.share}});
  const Json json = {{"system", p.system},
                     {"machine", p.machine},
                     {"simulated", p.simulated},
                     {"workload", p.workload},
                     {"ssds", json_or_null(p.ssds)},
                     {"cores", json_or_null(p.cores)},
                     {"in_flight", json_or_null(p.in_flight)},
                     {"batch", json_or_null(p.batch)},
                     {"skew", json_or_null(p.skew)},
                     {"records", json_or_null(p.records)},
                     {"slots", json_or_null(p.slots)},
                     {"value_size", json_or_null(p.value_size)},
                     {"seed", json_or_null(p.seed)},
                     {"operations", p.operations},
                     {"seconds", p.seconds},
                     {"throughput", json_or_null(p.throughput)},
                     {"avg_us", json_or_null(p.avg_us)},
                     {"p50_us", json_or_null(p.p50_us)},
                     {"p99_us", json_or_null(p.p99_us)},
                     {"hit_ratio", json_or_null(p.hit_ratio)},
                     {"ssd_reads_per_s", json_or_null(p.ssd_reads_per_s)},
                     {"ssd_writes_per_s", json_or_null(p.ssd_writes_per_s)},
                     {"ssd_ios_per_s_by_formula", json_or_null(p.ssd_ios_per_s_by_formula)},
                     {"server_cpu_us_per_op", json_or_null(p.server_cpu_us_per_op)},
                     {"full", json_or_null(p.full)},
                     {"busy", busy},
                     {"bytes_read_per_op", json_or_null(p.bytes_read_per_op)},
                     {"bytes_written_per_op", json_or_null(p.bytes_written_per_op)},
                     {"network_bytes_per_op", json_or_null(p.network_bytes_per_op)},
                     {"stand_in_cpu_us_per_op", json_or_null(p.stand_in_cpu_us_per_op)},
                     {"memory_limit", json_or_null(p.memory_limit)},
                     {"errors", p.errors}};
  return json_text(json);
}

}  // namespace scalio::eval
