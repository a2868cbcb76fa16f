#include "cli/expiry_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace scalio::cli {

namespace {
// Some hundred years: what a 64-bit number of ns holds.
constexpr double kMostSeconds = 9e9;

std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text) {
  double seconds = 0;
  const char* const all = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), all, seconds);
  // That it is no number at all (nan) is none of these.
  const bool fits = seconds >= 0 && seconds <= kMostSeconds;
  if (error != std::errc() || end != all || !fits) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

std::optional<EndTime> parse_utc(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  constexpr std::size_t kDate = 10;
  if (text.size() != kDate && text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t digits) {
    int n = 0;
    for (const char c : text.substr(std::min(at, text.size()), digits)) n = 10 * n + (c - '0');
    return n;
  };
  const auto part = [&](std::size_t at) { return static_cast<unsigned>(number(at, 2)); };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(part(5)), std::chrono::day(part(8))};
  const unsigned hour = part(11), minute = part(14), second = part(17);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::sys_seconds time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                                        std::chrono::minutes(minute) + std::chrono::seconds(second);
  const std::chrono::seconds since = time.time_since_epoch();
  if (since.count() < 0 || static_cast<double>(since.count()) > kMostSeconds) return std::nullopt;
  return EndTime(since);
}
}  // namespace

Result<EndTime> parse_end(std::string_view text) {
  if (const auto seconds = parse_seconds(text)) return EndTime(*seconds);
  if (const auto utc = parse_utc(text)) return *utc;
  return Status(Code::invalid,
                fmt::format("'{}' is no time from 1970 to 2255: seconds since 1970, or UTC, as "
                            "2027-01-01 or 2027-01-01T12:00:00Z",
                            text));
}

void ExpiryFlags::add_to(CLI::App& app) {
  CLI::Option* const in =
      app.add_option_function<std::string>(
             "--ttl",
             [this](const std::string& text) {
               const auto seconds = parse_seconds(text);
               if (!seconds) {
                 throw CLI::ValidationError(
                     "--ttl", fmt::format("'{}' is no number of seconds from 0 to {:.0f}", text,
                                          kMostSeconds));
               }
               said = Expiry::after(*seconds);
             },
             "Seconds from now on after which there is no such record")
          ->type_name("SECONDS");
  app.add_option_function<std::string>(
         "--expire-at",
         [this](const std::string& text) {
           const Result<EndTime> end = parse_end(text);
           if (!end.ok()) throw CLI::ValidationError("--expire-at", end.status().message());
           said = Expiry::at(*end);
         },
         "The same as a time: seconds since 1970, or UTC, as 2027-01-01 or 2027-01-01T12:00:00Z")
      ->type_name("TIME")
      ->excludes(in);
}

std::int64_t end_ms(EndTime end) {
  return std::chrono::floor<std::chrono::milliseconds>(end.time_since_epoch()).count();
}

}  // namespace scalio::cli
