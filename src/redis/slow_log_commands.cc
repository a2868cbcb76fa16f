// What took long: SLOWLOG and LATENCY.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/parse_integer.h"
#include "redis/command_table.h"
#include "redis/parse_number.h"

namespace scalio::redis {
namespace {

using SlowCommand = SlowCommands::SlowCommand;

// What SLOWLOG GET lists unless it is told.
constexpr std::int64_t kUsualCount = 10;
// What LATENCY calls a slow command, here as in Redis.
constexpr std::string_view kEvent = "command";

void reply_slow(resp::ReplyWriter& reply, const SlowCommand& slow) {
  reply.array(6);
  reply.integer(static_cast<std::int64_t>(slow.id));
  reply.integer(static_cast<std::int64_t>(slow.ended_unix_ms / 1000));
  reply.integer(static_cast<std::int64_t>(slow.took / kMicrosecond));
  reply.array(slow.arguments.size());
  for (const std::string& argument : slow.arguments) reply.bulk(argument);
  reply.bulk(slow.address);
  reply.bulk(slow.client);
}

void slowlog_get(CommandCall& call) {
  const SlowCommands& slow = call.state().slow;
  std::optional<std::int64_t> count = kUsualCount;
  if (call.count() == 3) count = parse_integer(call[2]);
  if (!count || *count < -1) {
    return call.fail("ERR count should be greater than or equal to -1");
  }
  const std::size_t most =
      *count < 0 ? slow.size() : std::min(static_cast<std::size_t>(*count), slow.size());
  resp::ReplyWriter reply = call.reply();
  reply.array(most);
  for (std::size_t i = 0; i < most; ++i) reply_slow(reply, slow.newest(i));
}

constexpr SubcommandHelp kSlowlogHelp[] = {
    {"GET [<count>]", "The last commands that took long, 10 or so many; -1: all."},
    {"LEN", "How many are kept."},
    {"RESET", "Forget them."},
};

Task<void> slowlog(CommandCall& call) {
  SlowCommands& slow = call.state().slow;
  if (same_word(call[1], "get")) {
    if (call.count() > 3) co_return call.fail(wrong_count("slowlog|get"));
    slowlog_get(call);
  } else if (same_word(call[1], "len")) {
    if (call.count() > 2) co_return call.fail(wrong_count("slowlog|len"));
    call.reply().integer(static_cast<std::int64_t>(slow.size()));
  } else if (same_word(call[1], "reset")) {
    if (call.count() > 2) co_return call.fail(wrong_count("slowlog|reset"));
    slow.clear();
    call.reply().simple("OK");
  } else if (same_word(call[1], "help")) {
    if (call.count() > 2) co_return call.fail(wrong_count("slowlog|help"));
    reply_help(call, kSlowlogHelp);
  } else {
    call.fail(no_subcommand(call));
  }
}

std::int64_t seconds_of(const SlowCommand& slow) {
  return static_cast<std::int64_t>(slow.ended_unix_ms / 1000);
}
std::int64_t milliseconds_of(const SlowCommand& slow) {
  return static_cast<std::int64_t>(slow.took / kMillisecond);
}

// The event, when it was last, how long then, how long at most.
void latency_latest(CommandCall& call) {
  const SlowCommands& slow = call.state().slow;
  resp::ReplyWriter reply = call.reply();
  if (slow.size() == 0) return reply.array(0);
  std::int64_t most = 0;
  for (std::size_t i = 0; i < slow.size(); ++i) {
    most = std::max(most, milliseconds_of(slow.newest(i)));
  }
  reply.array(1);
  reply.array(4);
  reply.bulk(kEvent);
  reply.integer(seconds_of(slow.newest(0)));
  reply.integer(milliseconds_of(slow.newest(0)));
  reply.integer(most);
}

void latency_history(CommandCall& call) {
  const SlowCommands& slow = call.state().slow;
  resp::ReplyWriter reply = call.reply();
  const std::size_t count = same_word(call[2], kEvent) ? slow.size() : 0;
  reply.array(count);
  for (std::size_t i = count; i-- > 0;) {
    reply.array(2);
    reply.integer(seconds_of(slow.newest(i)));
    reply.integer(milliseconds_of(slow.newest(i)));
  }
}

constexpr SubcommandHelp kLatencyHelp[] = {
    {"HISTORY command", "When the commands that SLOWLOG has took long, and how many ms."},
    {"LATEST", "Of these the last one, and the longest."},
};

Task<void> latency(CommandCall& call) {
  if (same_word(call[1], "latest")) {
    if (call.count() > 2) co_return call.fail(wrong_count("latency|latest"));
    latency_latest(call);
  } else if (same_word(call[1], "history")) {
    if (call.count() != 3) co_return call.fail(wrong_count("latency|history"));
    latency_history(call);
  } else if (same_word(call[1], "reset")) {
    call.fail("ERR LATENCY tells of what SLOWLOG has: SLOWLOG RESET forgets it");
  } else if (same_word(call[1], "help")) {
    if (call.count() > 2) co_return call.fail(wrong_count("latency|help"));
    reply_help(call, kLatencyHelp);
  } else {
    call.fail(no_subcommand(call));
  }
}

constexpr CommandRow kRows[] = {
    {"slowlog", -2, kAdmin, 0, 0, 0, "server", "The last commands that took long", slowlog},
    {"latency", -2, kAdmin, 0, 0, 0, "server", "When commands took long, and how long", latency},
};

}  // namespace

std::span<const CommandRow> slow_log_commands() { return kRows; }

}  // namespace scalio::redis
