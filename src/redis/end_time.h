// Ends of records in the words of Redis: EX, PX, EXAT and PXAT.
#pragma once

#include <scalio/client.h>

#include <optional>
#include <string>
#include <string_view>

#include "redis/command_call.h"

namespace scalio::redis {

enum class TimeUnit : std::uint8_t { seconds, milliseconds };
struct TimeForm {
  TimeUnit unit;
  bool absolute;  // since 1970; else from now on
};

// The form that a word of SET or GETEX means, if it is one.
std::optional<TimeForm> time_form(std::string_view word);
// What a number means so. Nothing if it is none, or a time after 2116, by this machine's clock.
std::optional<Expiry> expiry_of(std::string_view number, TimeForm form);
std::string invalid_expire_time(const CommandCall& call);
// Whether it is in the past, or at once: for commands that refuse that.
bool positive(const Expiry& expiry);

// ms until a record ends, by this machine's clock; or since 1970.
std::int64_t ms_left(EndTime end);
std::int64_t ms_since_1970(EndTime end);

}  // namespace scalio::redis
