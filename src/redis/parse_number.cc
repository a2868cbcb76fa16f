#include "redis/parse_number.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string>

namespace scalio::redis {

namespace {
// More than the longest number that means anything.
constexpr std::size_t kLongestFloat = 256;
}  // namespace

std::optional<long double> parse_float(std::string_view text) {
  if (text.empty() || text.size() > kLongestFloat) return std::nullopt;
  if (std::isspace(static_cast<unsigned char>(text.front())) != 0) return std::nullopt;
  const std::string copy(text);  // with a zero at its end
  char* end = nullptr;
  const long double number = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

}  // namespace scalio::redis
