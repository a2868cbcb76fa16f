// Decimal numbers in values and requests.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace scalio {

// Decimal digits and nothing else, a minus before them perhaps: no blank, no plus, no leading zero.
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace scalio
