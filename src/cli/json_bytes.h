// Keys and values, which may be any bytes, in JSON, which holds UTF-8.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace scalio::cli {

// Adds the bytes as `name` where they are UTF-8, else as NAME_base64.
void add_bytes(nlohmann::ordered_json& json, const std::string& name, std::string_view bytes);

}  // namespace scalio::cli
