// JSON as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace scalio {

// `json` on one line, or with each level indented by `indent` blanks. Strings may hold any bytes, as paths
// and keys do; JSON holds UTF-8, so what is not becomes U+FFFD. The library's own dump() throws there.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace scalio
