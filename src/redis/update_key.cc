#include "redis/update_key.h"

#include <fmt/format.h>

#include "redis/read_value.h"

namespace scalio::redis {

namespace {
// Somebody else who writes the key in a loop can be the faster one each time. The wait for the turn
// is in it, so that those behind such a one try once each and do not wait for one another.
constexpr Nanos kLongest = 5 * kSecond;

Status too_often() {
  return Status(Code::conflict,
                fmt::format("others wrote the key again and again for {} s: nothing was done, try "
                            "again",
                            kLongest / kSecond));
}
}  // namespace

Task<bool> update_key(CommandCall& call, Change change) {
  const std::string_view key = call[1];
  const Nanos deadline = call.state().loop.now() + kLongest;
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  do {
    const Result<Record> now = co_await read_value(call, key, NoRoom::fail);
    if (!now.ok() && now.code() != Code::not_found) {
      call.fail(now.status());
      co_return false;
    }
    const std::optional<std::string> value = change(now.ok() ? &*now : nullptr);
    if (!value) co_return false;
    const std::uint64_t version = now.ok() ? now->version : 0;
    const Result<std::uint64_t> put = co_await call.client().put_if(key, *value, version);
    if (put.ok()) co_return true;
    if (put.code() != Code::conflict) {
      call.fail(put.status());
      co_return false;
    }
  } while (call.state().loop.now() < deadline);
  call.fail(too_often());
  co_return false;
}

Task<Status> remove_key(CommandCall& call, std::string_view key) {
  const Nanos deadline = call.state().loop.now() + kLongest;
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  do {
    const Result<std::uint64_t> version = co_await version_of(call, key);
    if (!version.ok()) co_return version.status();
    const Result<std::uint64_t> removed = co_await call.client().remove_if(key, *version);
    if (removed.ok()) co_return Status();
    if (removed.code() != Code::conflict) co_return removed.status();
  } while (call.state().loop.now() < deadline);
  co_return too_often();
}

Task<Result<Record>> take_key(CommandCall& call, std::string_view key) {
  const Nanos deadline = call.state().loop.now() + kLongest;
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  do {
    Result<Record> now = co_await read_value(call, key, NoRoom::fail);
    if (!now.ok()) co_return now;
    const Result<std::uint64_t> removed = co_await call.client().remove_if(key, now->version);
    if (removed.ok()) co_return now;
    if (removed.code() != Code::conflict) co_return removed.status();
  } while (call.state().loop.now() < deadline);
  co_return too_often();
}

}  // namespace scalio::redis
