// JSON as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/text.h"

namespace scalio {

// `json` on one line, or with each level indented by `indent` blanks. Strings may hold any bytes,
// as paths and keys do; JSON holds UTF-8, so what is not becomes U+FFFD. What a terminal would obey
// is escaped. The library's own dump() throws, and escapes control characters below U+0020 only.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return escaped_json(json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

// The JSON in `text`, of a peer perhaps; discarded (is_discarded()) if it is none, or nested more
// than kDeepestJson deep: what walks through it later takes stack for each level.
constexpr int kDeepestJson = 32;
template <class Json = nlohmann::json>
Json parse_json(std::string_view text) {
  bool too_deep = false;
  Json json = Json::parse(
      text,
      [&](int depth, typename Json::parse_event_t, Json&) {
        too_deep |= depth > kDeepestJson;
        return !too_deep;
      },
      false);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

}  // namespace scalio
