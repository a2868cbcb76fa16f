// Numbers in commands and values, as Redis takes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace scalio::redis {

inline constexpr std::string_view kNoInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";

// A finite number in decimal.
std::optional<long double> parse_float(std::string_view text);
// It as Redis writes it: all digits before the point, 17 behind it, without zeros at the end.
std::string float_text(long double number);

}  // namespace scalio::redis
