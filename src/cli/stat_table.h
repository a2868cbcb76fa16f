// The server's statistics for people: a table made from any JSON object, so that it never lags
// behind the server.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace scalio::cli {

// A line for each number or text; objects inside objects are named "outer.inner"; an array of
// objects is a table with a column for each of them.
std::string stat_table(const nlohmann::ordered_json& stat);

}  // namespace scalio::cli
