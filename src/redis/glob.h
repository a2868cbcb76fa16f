// Patterns of Redis: * ? [abc] [^a-c] and \ before a character that means itself.
#pragma once

#include <string_view>

namespace scalio::redis {

// In time proportional to the product of their lengths at most, whatever the pattern.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace scalio::redis
