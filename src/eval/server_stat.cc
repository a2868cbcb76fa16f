#include "eval/server_stat.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "eval/systems.h"

namespace scalio::eval {
namespace {

using Json = nlohmann::json;
using Count = std::optional<std::uint64_t>;

Count count_at(const Json& json, const char* path) {
  const Json::json_pointer at(path);
  if (!json.contains(at) || !json[at].is_number_unsigned()) return std::nullopt;
  return json[at].get<std::uint64_t>();
}

Count sum_at(const Json& shards, const char* path) {
  Count sum;
  for (const Json& shard : shards) {
    const Count one = count_at(shard, path);
    if (one) sum = sum.value_or(0) + *one;
  }
  return sum;
}

Count added(Count now, Count before) {
  return now && before && *now >= *before ? Count(*now - *before) : std::nullopt;
}

}  // namespace

ServerStat ServerStat::parse(std::string_view text) {
  ServerStat out;
  const Json json = parse_json(text);
  if (!json.is_object()) return out;
  out.counters = ycsb::ServerCounters::parse(text);
  if (const auto shards = json.find("shards"); shards != json.end() && shards->is_array()) {
    out.system = name_of(System::scalio);
    out.ssds = shards->size();
    out.ssd_bytes_read = sum_at(*shards, "/ssd/bytes_read");
    out.ssd_bytes_written = sum_at(*shards, "/ssd/bytes_written");
    if (!shards->empty()) out.slots = count_at(shards->front(), "/cache/read_slots");
    return out;
  }
  if (const auto name = json.find("system"); name != json.end() && name->is_string()) {
    out.system = name->get<std::string>();
  }
  out.ssds = count_at(json, "/ssds");
  if (const auto paths = json.find("ssd_paths"); paths != json.end() && paths->is_array()) {
    for (const Json& path : *paths) {
      if (path.is_string()) out.ssd_paths.push_back(path.get<std::string>());
    }
  }
  out.slots = count_at(json, "/slots");
  out.ssd_bytes_read = count_at(json, "/ssd_bytes_read");
  out.ssd_bytes_written = count_at(json, "/ssd_bytes_written");
  return out;
}

ServerStat ServerStat::since(const ServerStat& before) const {
  ServerStat out = *this;
  out.counters = counters.since(before.counters);
  const bool same = out.counters.pid.has_value();
  out.ssd_bytes_read = same ? added(ssd_bytes_read, before.ssd_bytes_read) : std::nullopt;
  out.ssd_bytes_written = same ? added(ssd_bytes_written, before.ssd_bytes_written) : std::nullopt;
  return out;
}

}  // namespace scalio::eval
