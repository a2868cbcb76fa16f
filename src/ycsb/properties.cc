#include "ycsb/properties.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::ycsb {
namespace {

constexpr std::size_t kMostQuoted = 60;
constexpr std::string_view kBlanks = " \t\r\f";

std::string_view trim(std::string_view s) {
  std::size_t first = s.find_first_not_of(kBlanks);
  if (first == s.npos) return {};
  return s.substr(first, s.find_last_not_of(kBlanks) - first + 1);
}

// Takes the first line off `text`.
std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return trim(line);
}

}  // namespace

std::string quotable(std::string_view text) {
  std::string out(text.substr(0, kMostQuoted));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kMostQuoted ? out + "..." : out;
}

Result<Properties> parse_properties(std::string_view text) {
  Properties out;
  for (int number = 1; !text.empty(); ++number) {
    int first_number = number;
    std::string line(take_line(text));
    if (line.empty() || line[0] == '#' || line[0] == '!') continue;
    while (line.ends_with('\\')) {
      line.pop_back();
      line += take_line(text);
      ++number;
    }
    std::size_t end = line.find_first_of("=: \t");
    if (end == 0 || end == line.npos) {
      return {Code::invalid, fmt::format("line {}: '{}' is not of the form name=value",
                                         first_number, quotable(line))};
    }
    // Blanks may stand around the separator, or be it.
    std::string_view value = trim(std::string_view(line).substr(end));
    if (value.starts_with('=') || value.starts_with(':')) value = trim(value.substr(1));
    out.insert_or_assign(line.substr(0, end), std::string(value));
  }
  return out;
}

}  // namespace scalio::ycsb
