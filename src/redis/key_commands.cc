// Commands on keys, whatever their values.
#include <algorithm>
#include <unordered_set>

#include "redis/command_table.h"
#include "redis/in_groups.h"
#include "redis/read_value.h"
#include "redis/update_key.h"

namespace scalio::redis {
namespace {

// Of each key that is there: the call's keys, each as often as it is named.
Task<void> exists(CommandCall& call) {
  const std::span<const std::string_view> keys = call.arguments().subspan(1);
  std::int64_t there = 0;
  Status failure;
  const auto look = [&](std::string_view key) -> Task<void> {
    const Result<Record> found = co_await read_head(call, key);
    there += found.ok() ? 1 : 0;
    if (!found.ok() && found.code() != Code::not_found && failure.ok()) failure = found.status();
  };
  co_await in_groups(call.state().loop, keys, look, failure);
  if (!failure.ok()) co_return call.fail(failure);
  call.reply().integer(there);
}

// Counts what it removes, which the store does not say: so it looks first.
Task<void> del(CommandCall& call) {
  std::vector<std::string_view> keys;
  std::unordered_set<std::string_view> seen;
  for (const std::string_view key : call.arguments().subspan(1)) {
    if (seen.insert(key).second) keys.push_back(key);
  }
  std::int64_t removed = 0;
  Status failure;
  const auto remove = [&](std::string_view key) -> Task<void> {
    const Status taken = co_await remove_key(call, key);
    removed += taken.ok() ? 1 : 0;
    if (!taken.ok() && taken.code() != Code::not_found && failure.ok()) failure = taken;
  };
  co_await in_groups(call.state().loop, keys, remove, failure);
  if (!failure.ok()) co_return call.fail(failure);
  call.reply().integer(removed);
}

// Replies with `present` or `absent`.
template <class Present, class Absent>
Task<void> by_presence(CommandCall& call, Present present, Absent absent) {
  const Result<Record> found = co_await read_head(call, call[1]);
  if (found.ok()) co_return present();
  if (found.code() == Code::not_found) co_return absent();
  call.fail(found.status());
}

Task<void> type(CommandCall& call) {
  return by_presence(
      call, [&call] { call.reply().simple("string"); }, [&call] { call.reply().simple("none"); });
}

constexpr CommandRow kRows[] = {
    {"del", -2, kWrite, 1, -1, 1, "generic", "Deletes keys", del},
    {"unlink", -2, kWrite | kFast, 1, -1, 1, "generic", "The same as DEL", del},
    {"exists", -2, kReadonly | kFast, 1, -1, 1, "generic", "How many of the keys exist", exists},
    {"type", 2, kReadonly | kFast, 1, 1, 1, "generic", "string, or none", type},
};

}  // namespace

std::span<const CommandRow> key_commands() { return kRows; }

}  // namespace scalio::redis
