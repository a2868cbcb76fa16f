#include "layout/store_stat.h"

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace scalio::layout {

namespace {
// 0 if it is not there: it is the server's JSON, and of whatever version.
std::uint64_t count_in(const nlohmann::json& json, const char* path) {
  const nlohmann::json::json_pointer at(path);
  return json.contains(at) && json[at].is_number_unsigned() ? json[at].get<std::uint64_t>() : 0;
}

double number_in(const nlohmann::json& json, const char* path) {
  const nlohmann::json::json_pointer at(path);
  return json.contains(at) && json[at].is_number() ? json[at].get<double>() : 0;
}

bool is_set(const nlohmann::json& json, const char* path) {
  const nlohmann::json::json_pointer at(path);
  return json.contains(at) && json[at] == true;
}

// What all shards have and do, as sums of what each says.
nlohmann::json totals_of(const nlohmann::json& shards) {
  std::uint64_t hits = 0, misses = 0, ssd_reads = 0, ssd_writes = 0, records = 0, bytes = 0,
                free = 0, dirty = 0, refused = 0, live = 0, dead = 0, free_values = 0, usable = 0;
  bool values_full = false;
  double gets = 0, recent_hits = 0, writes = 0;
  for (const nlohmann::json& shard : shards) {
    hits += count_in(shard, "/cache/hits");
    misses += count_in(shard, "/cache/misses");
    ssd_reads += count_in(shard, "/ssd/reads");
    ssd_writes += count_in(shard, "/ssd/writes");
    records += count_in(shard, "/records/count");
    bytes += count_in(shard, "/records/bytes");
    free += count_in(shard, "/records/free_bytes");
    dirty += count_in(shard, "/cache/dirty");
    refused += count_in(shard, "/writes/refused_full");
    live += count_in(shard, "/values/live_bytes");
    dead += count_in(shard, "/values/dead_bytes");
    free_values += count_in(shard, "/values/free_bytes");
    usable += count_in(shard, "/values/usable_bytes");
    values_full |= is_set(shard, "/values/full");
    const double here = number_in(shard, "/recent/gets_per_second");
    gets += here;
    recent_hits += here * number_in(shard, "/recent/hit_ratio");
    writes += number_in(shard, "/recent/writes_per_second");
  }
  const auto ratio = [](double part, double all) {
    return all == 0 ? nlohmann::json() : nlohmann::json(part / all);
  };
  return {{"hits", hits},
          {"misses", misses},
          {"hit_ratio", ratio(static_cast<double>(hits), static_cast<double>(hits + misses))},
          {"recent_hit_ratio", ratio(recent_hits, gets)},
          {"gets_per_second", gets},
          {"writes_per_second", writes},
          {"ssd_reads", ssd_reads},
          {"ssd_writes", ssd_writes},
          {"records", records},
          {"record_bytes", bytes},
          {"free_bytes", free},
          {"fill", ratio(static_cast<double>(bytes), static_cast<double>(bytes + free))},
          {"pending_writes", dirty},
          {"refused_full", refused},
          {"values_live_bytes", live},
          {"values_dead_bytes", dead},
          {"values_free_bytes", free_values},
          {"values_fill", ratio(static_cast<double>(live), static_cast<double>(usable))},
          {"values_full", values_full}};
}

// Each shard tells of its lane: of every lane, what the first of its shards says, and which they
// are. In the shards, the lane's number is left.
nlohmann::json lanes_of(nlohmann::json& shards) {
  std::map<std::uint64_t, nlohmann::json> lanes;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    nlohmann::json lane = shards[i].value("lane", nlohmann::json());
    const std::uint64_t number = count_in(lane, "/lane");
    shards[i]["lane"] = number;
    if (!lane.is_object()) continue;
    const auto [all, first] = lanes.try_emplace(number, std::move(lane));
    if (first) all->second["shards"] = nlohmann::json::array();
    all->second["shards"].push_back(i);
  }
  nlohmann::json list = nlohmann::json::array();
  for (auto& [number, lane] : lanes) list.push_back(std::move(lane));
  return list;
}
}  // namespace

Result<std::string> store_stat(const std::vector<std::string>& texts, const SsdGeometry& any) {
  const Status malformed(Code::unavailable, "the server's statistics are malformed");
  nlohmann::json shards = nlohmann::json::array();
  for (const std::string& text : texts) {
    nlohmann::json j = parse_json(text);
    if (!j.is_object()) return malformed;
    shards.push_back(std::move(j));
  }
  nlohmann::json lanes = lanes_of(shards);
  // Each shard tells of its process; it is the same one.
  nlohmann::json all = shards[0].value("process", nlohmann::json());
  if (!all.is_object()) return malformed;
  for (auto& j : shards) j.erase("process");
  all.update(totals_of(shards));
  std::uint64_t connections = 0;
  for (const nlohmann::json& lane : lanes) connections += count_in(lane, "/clients");
  all["connections"] = connections;
  all["inline_limit"] = any.inline_limit;
  all["uuid"] = to_string(any.uuid);
  all["lanes"] = std::move(lanes);
  all["shards"] = std::move(shards);
  return json_text(all);
}

}  // namespace scalio::layout
