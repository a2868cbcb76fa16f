// Commands on when keys end.
#include <fmt/format.h>

#include <functional>

#include "base/parse_integer.h"
#include "redis/command_table.h"
#include "redis/end_time.h"
#include "redis/parse_number.h"
#include "redis/read_value.h"
#include "redis/update_key.h"

namespace scalio::redis {
namespace {

// --- How long a key lives ---

// Replies -2 where there is no key, -1 where it does not end, else what `told` makes of its end.
template <class Told>
Task<void> tell_end(CommandCall& call, Told told) {
  const Result<Record> found = co_await read_head(call, call[1]);
  if (!found.ok() && found.code() != Code::not_found) co_return call.fail(found.status());
  if (!found.ok()) co_return call.reply().integer(-2);
  call.reply().integer(found->end == EndTime() ? -1 : told(found->end));
}

std::int64_t rounded(std::int64_t ms) { return (ms + 500) / 1000; }

Task<void> ttl(CommandCall& call) {
  return tell_end(call, [](EndTime end) { return rounded(ms_left(end)); });
}
Task<void> pttl(CommandCall& call) {
  return tell_end(call, [](EndTime end) { return ms_left(end); });
}
Task<void> expiretime(CommandCall& call) {
  return tell_end(call, [](EndTime end) { return rounded(ms_since_1970(end)); });
}
Task<void> pexpiretime(CommandCall& call) {
  return tell_end(call, [](EndTime end) { return ms_since_1970(end); });
}

// --- Changing that ---

struct ExpireConditions {
  bool if_lasts = false, if_ends = false, if_later = false, if_sooner = false;
  bool any() const { return if_lasts || if_ends || if_later || if_sooner; }
};

// Or in Redis's words what is wrong.
std::string parse(const CommandCall& call, ExpireConditions* c) {
  for (std::size_t i = 3; i < call.count(); ++i) {
    if (same_word(call[i], "nx")) {
      c->if_lasts = true;
    } else if (same_word(call[i], "xx")) {
      c->if_ends = true;
    } else if (same_word(call[i], "gt")) {
      c->if_later = true;
    } else if (same_word(call[i], "lt")) {
      c->if_sooner = true;
    } else {
      return fmt::format("ERR Unsupported option {}", call[i].substr(0, kMostShown));
    }
  }
  if (c->if_lasts && (c->if_ends || c->if_later || c->if_sooner))
    return "ERR NX and XX, GT or LT options at the same time are not compatible";
  if (c->if_later && c->if_sooner)
    return "ERR GT and LT options at the same time are not compatible";
  return {};
}

// When a record would end, by this machine's clock.
EndTime end_of(const Expiry& expiry) {
  return expiry.from_now ? EndTime(std::chrono::system_clock::now() + expiry.time)
                         : EndTime(expiry.time);
}

// A key that lasts ends later than any.
bool wanted(const ExpireConditions& c, EndTime now, const Expiry& then) {
  const bool lasts = now == EndTime();
  if (c.if_lasts && !lasts) return false;
  if (c.if_ends && lasts) return false;
  if (c.if_later && (lasts || end_of(then) <= now)) return false;
  return !c.if_sooner || lasts || end_of(then) < now;
}

void reply_changed(CommandCall& call, const Result<EndChange>& change) {
  if (!change.ok() && change.code() != Code::not_found) return call.fail(change.status());
  call.reply().integer(change.ok() && change->changed ? 1 : 0);
}

Task<void> expire_in(CommandCall& call, TimeForm form) {
  if (!parse_integer(call[2])) co_return call.fail(kNoInteger);
  const std::optional<Expiry> then = expiry_of(call[2], form);
  if (!then) co_return call.fail(invalid_expire_time(call));
  ExpireConditions conditions;
  if (const std::string wrong = parse(call, &conditions); !wrong.empty())
    co_return call.fail(wrong);
  if (!conditions.any()) {
    const Result<std::uint64_t> outcome = co_await call.client().set_end(call[1], *then);
    co_return reply_changed(call, outcome.ok() ? Result(EndChange{{}, true}) : outcome.status());
  }
  const auto decide = [&](const Record& now) -> std::optional<Expiry> {
    return wanted(conditions, now.end, *then) ? then : std::nullopt;
  };
  reply_changed(call, co_await change_end(call, OfRecord::head, decide));
}

Task<void> expire(CommandCall& call) { return expire_in(call, {TimeUnit::seconds, false}); }
Task<void> pexpire(CommandCall& call) { return expire_in(call, {TimeUnit::milliseconds, false}); }
Task<void> expireat(CommandCall& call) { return expire_in(call, {TimeUnit::seconds, true}); }
Task<void> pexpireat(CommandCall& call) { return expire_in(call, {TimeUnit::milliseconds, true}); }

Task<void> persist(CommandCall& call) {
  const auto decide = [](const Record& now) -> std::optional<Expiry> {
    return now.end == EndTime() ? std::nullopt : std::optional(Expiry::never());
  };
  reply_changed(call, co_await change_end(call, OfRecord::head, decide));
}

// --- With the value ---

Task<void> getex(CommandCall& call) {
  std::optional<Expiry> then;
  const bool persists = call.count() == 3 && same_word(call[2], "persist");
  if (persists) {
    then = Expiry::never();
  } else if (call.count() == 4) {
    const std::optional<TimeForm> form = time_form(call[2]);
    if (!form) co_return call.fail(kSyntaxError);
    if (!parse_integer(call[3])) co_return call.fail(kNoInteger);
    then = expiry_of(call[3], *form);
    if (!then || !positive(*then)) co_return call.fail(invalid_expire_time(call));
  } else if (call.count() != 2) {
    co_return call.fail(kSyntaxError);
  }
  const auto decide = [&](const Record& now) -> std::optional<Expiry> {
    return persists && now.end == EndTime() ? std::nullopt : then;
  };
  const Result<EndChange> change = co_await change_end(call, OfRecord::all, decide);
  if (change.ok()) co_return call.reply().bulk(change->record.value);
  if (change.code() == Code::not_found) co_return call.reply().null();
  call.fail(change.status());
}

Task<void> set_for(CommandCall& call, TimeUnit unit) {
  if (!parse_integer(call[2])) co_return call.fail(kNoInteger);
  const std::optional<Expiry> then = expiry_of(call[2], {unit, false});
  if (!then || !positive(*then)) co_return call.fail(invalid_expire_time(call));
  const Result<std::uint64_t> outcome = co_await call.client().put(call[1], call[3], *then);
  if (!outcome.ok()) co_return call.fail(outcome.status());
  call.reply().simple("OK");
}
Task<void> setex(CommandCall& call) { return set_for(call, TimeUnit::seconds); }
Task<void> psetex(CommandCall& call) { return set_for(call, TimeUnit::milliseconds); }

constexpr CommandRow kRows[] = {
    {"ttl", 2, kReadonly | kFast, 1, 1, 1, "generic", "Seconds that a key lives", ttl},
    {"pttl", 2, kReadonly | kFast, 1, 1, 1, "generic", "Milliseconds that a key lives", pttl},
    {"expiretime", 2, kReadonly | kFast, 1, 1, 1, "generic", "When a key ends", expiretime},
    {"pexpiretime", 2, kReadonly | kFast, 1, 1, 1, "generic", "The same in ms", pexpiretime},
    {"expire", -3, kWrite | kFast, 1, 1, 1, "generic", "Ends a key in some seconds", expire},
    {"pexpire", -3, kWrite | kFast, 1, 1, 1, "generic", "The same in ms", pexpire},
    {"expireat", -3, kWrite | kFast, 1, 1, 1, "generic", "Ends a key at a time", expireat},
    {"pexpireat", -3, kWrite | kFast, 1, 1, 1, "generic", "The same in ms", pexpireat},
    {"persist", 2, kWrite | kFast, 1, 1, 1, "generic", "Lets a key last", persist},
    {"getex", -2, kWrite | kFast, 1, 1, 1, "string", "A value, and changes its end", getex},
    {"setex", 4, kWrite, 1, 1, 1, "string", "Sets a key for some seconds", setex},
    {"psetex", 4, kWrite, 1, 1, 1, "string", "The same in ms", psetex},
};

}  // namespace

std::span<const CommandRow> expiry_commands() { return kRows; }

}  // namespace scalio::redis
