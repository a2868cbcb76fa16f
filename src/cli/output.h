// What a program says, and the exit status that it ends with.
#pragma once

#include <scalio/status.h>

#include <string_view>

namespace scalio::cli {

// Exit statuses, which scripts rely on.
constexpr int kSuccess = 0;
constexpr int kNotFound = 1;
constexpr int kBadUse = 2;
constexpr int kFailure = 3;
constexpr int kDamaged = 4;      // done, with what was intact
constexpr int kSignalled = 128;  // + the signal's number

// Writes to stdout, now, and returns the exit status: kFailure, with the reason on stderr, if that
// fails.
int print(std::string_view text);

// A line on stderr, with what a terminal might obey shown as \xNN: keys and paths are in it, and
// answers of servers. That it cannot be written, for ten seconds, is no failure.
void say(std::string_view text);

// Says on stderr what failed, and returns the exit status for it.
int fail(const Status& status);

}  // namespace scalio::cli
