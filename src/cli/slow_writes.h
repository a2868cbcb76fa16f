// What `scalio stat --slow` shows: the slow logs of a store's shards, which a server has sent.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace scalio::cli {

// Those of all shards together, oldest first, and of each the number of its shard. `logs` has one
// of each shard; what in it is no operation is left out.
nlohmann::ordered_json merged_slow_writes(const nlohmann::ordered_json& logs);

// These, for people: a line each.
std::string slow_writes_text(const nlohmann::ordered_json& merged);

}  // namespace scalio::cli
