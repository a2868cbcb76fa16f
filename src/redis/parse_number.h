// Numbers in commands and values, as Redis takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace scalio::redis {

inline constexpr std::string_view kNoInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";

// Decimal digits and nothing else, a minus before them perhaps: no blank, no plus, no leading zero.
std::optional<std::int64_t> parse_integer(std::string_view text);
// A finite number in decimal.
std::optional<long double> parse_float(std::string_view text);

}  // namespace scalio::redis
