// Fields of JSON that came from a server, read without trust: whatever it says is a value within
// bounds. The library's own get(), value() and at() throw where the type is another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace scalio::cli {

// No figure of a server is larger, and sums of many are still far from infinity.
inline constexpr double kMostTold = 9.2e18;  // below 2^63

// The figure at a JSON pointer, from 0 to kMostTold; 0 if there is none.
template <class Json>
double number_at(const Json& json, const char* path) {
  const typename Json::json_pointer at(path);
  if (!json.contains(at) || !json[at].is_number()) return 0;
  return std::clamp(json[at].template get<double>(), 0.0, kMostTold);
}

// The whole number there, to the last digit, up to 2^64 - 1.
template <class Json>
std::uint64_t count_at(const Json& json, const char* path) {
  const typename Json::json_pointer at(path);
  if (json.contains(at) && json[at].is_number_unsigned())
    return json[at].template get<std::uint64_t>();
  return static_cast<std::uint64_t>(number_at(json, path));
}

// The text at a JSON pointer; empty if there is none.
template <class Json>
std::string text_at(const Json& json, const char* path) {
  const typename Json::json_pointer at(path);
  return json.contains(at) && json[at].is_string() ? json[at].template get<std::string>() : "";
}

// The member of that name; an empty array if it is none.
template <class Json>
const Json& list_at(const Json& json, const char* name) {
  static const Json kNone = Json::array();
  return json.contains(name) && json[name].is_array() ? json[name] : kNone;
}

}  // namespace scalio::cli
