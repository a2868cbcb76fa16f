#include "cli/size.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <string>

namespace scalio::cli {

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  std::string unit;
  for (const char* p = end; p != text.data() + text.size(); ++p) {
    unit += static_cast<char>(std::toupper(static_cast<unsigned char>(*p)));
  }
  int shift = 0;
  for (char prefix : std::string_view("KMGT")) {
    shift += 10;
    if (unit == std::string{prefix} || unit == std::string{prefix, 'B'} ||
        unit == std::string{prefix, 'I', 'B'})
      break;
    if (prefix == 'T') shift = 0;
  }
  const bool known_unit = shift > 0 || unit.empty() || unit == "B";
  if (error != std::errc() || !known_unit || n > (UINT64_MAX >> shift)) {
    return {Code::invalid, fmt::format("'{}' is not a size such as 512, 64K, 64M or 1G", text)};
  }
  return n << shift;
}

CLI::Option* as_size(CLI::Option* option) {
  auto to_bytes = [](std::string& text) -> std::string {
    Result<std::uint64_t> bytes = parse_size(text);
    if (!bytes.ok()) return bytes.status().message();
    text = std::to_string(*bytes);
    return "";
  };
  return option->transform(CLI::Validator(to_bytes, "", "size"))->type_name("SIZE");
}

CLI::Option* as_count(CLI::Option* option) {
  // CLI11 itself takes what is too large for the largest number, and -1 too, and 010 for 8.
  auto is_count = [](const std::string& text) -> std::string {
    std::uint64_t n = 0;
    const char* const all = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), all, n);
    if (error == std::errc() && end == all && (text[0] != '0' || text.size() == 1)) return "";
    return fmt::format("'{}' is not a whole number from 0 to {}", text, UINT64_MAX);
  };
  return option->check(CLI::Validator(is_count, "", "count"))->type_name("N");
}

}  // namespace scalio::cli
