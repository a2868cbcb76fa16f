#include "redis/end_time.h"

#include <fmt/format.h>

#include "base/parse_integer.h"
#include "redis/command_table.h"

namespace scalio::redis {

namespace {
constexpr std::int64_t kMsPerSecond = 1000, kNsPerMs = 1'000'000;
// Since 1970: in the year 2116. There is as much room behind it, however wrong a clock is.
constexpr std::int64_t kMostMs = EndTime::duration::max().count() / kNsPerMs / 2;

std::int64_t ms_now() { return ms_since_1970(std::chrono::system_clock::now()); }
}  // namespace

std::optional<TimeForm> time_form(std::string_view word) {
  if (same_word(word, "ex")) return TimeForm{TimeUnit::seconds, false};
  if (same_word(word, "px")) return TimeForm{TimeUnit::milliseconds, false};
  if (same_word(word, "exat")) return TimeForm{TimeUnit::seconds, true};
  if (same_word(word, "pxat")) return TimeForm{TimeUnit::milliseconds, true};
  return std::nullopt;
}

std::optional<Expiry> expiry_of(std::string_view number, TimeForm form) {
  const std::optional<std::int64_t> given = parse_integer(number);
  const std::int64_t factor = form.unit == TimeUnit::seconds ? kMsPerSecond : 1;
  const std::int64_t most = form.absolute ? kMostMs : kMostMs - ms_now();
  if (!given || *given > most / factor) return std::nullopt;
  // A time before 1970 is as good as one in 1970.
  const std::chrono::nanoseconds time(std::max<std::int64_t>(*given, 0) * factor * kNsPerMs);
  return form.absolute ? Expiry::at(EndTime(time)) : Expiry::after(time);
}

std::string invalid_expire_time(const CommandCall& call) {
  return fmt::format("ERR invalid expire time in '{}' command", call.row()->name);
}

bool positive(const Expiry& expiry) { return expiry.time.count() >= kNsPerMs; }

std::int64_t ms_since_1970(EndTime end) { return end.time_since_epoch().count() / kNsPerMs; }

std::int64_t ms_left(EndTime end) {
  return std::max<std::int64_t>(ms_since_1970(end) - ms_now(), 0);
}

}  // namespace scalio::redis
