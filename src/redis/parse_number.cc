#include "redis/parse_number.h"

#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/assert.h"

namespace scalio::redis {

namespace {
// More than float_text() makes of any.
constexpr std::size_t kLongestFloat = 5000;
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

// Not by fmt, which writes wrong digits of large ones.
std::string float_text(long double number) {
  std::array<char, kLongestFloat> digits;
  const int size = std::snprintf(digits.data(), digits.size(), "%.17Lf", number);
  SCALIO_ASSERT(size > 0 && static_cast<std::size_t>(size) < digits.size());
  std::string text(digits.data(), static_cast<std::size_t>(size));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace scalio::redis
