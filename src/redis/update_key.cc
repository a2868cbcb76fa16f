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

Task<bool> update_key(CommandCall& call, Change change, std::optional<Expiry> expiry) {
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
    const bool ends = now.ok() && now->end != EndTime();
    const Expiry until = expiry.value_or(ends ? Expiry::at(now->end) : Expiry::never());
    const Result<std::uint64_t> put = co_await call.client().put_if(key, *value, version, until);
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
    const Result<Record> now = co_await read_head(call, key);
    if (!now.ok()) co_return now.status();
    const Result<std::uint64_t> removed = co_await call.client().remove_if(key, now->version);
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

Task<Result<EndChange>> change_end(CommandCall& call, OfRecord wanted,
                                   std::function<std::optional<Expiry>(const Record&)> decide) {
  const std::string_view key = call[1];
  const Nanos deadline = call.state().loop.now() + kLongest;
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  do {
    Task<Result<Record>> read =
        wanted == OfRecord::head ? read_head(call, key) : read_value(call, key, NoRoom::fail);
    Result<Record> now = co_await std::move(read);
    if (!now.ok()) co_return now.status();
    const std::optional<Expiry> expiry = decide(*now);
    if (!expiry) co_return EndChange{*std::move(now), false};
    const Result<std::uint64_t> done = co_await call.client().set_end(key, *expiry, now->version);
    if (done.ok()) co_return EndChange{*std::move(now), true};
    if (done.code() != Code::conflict) co_return done.status();
  } while (call.state().loop.now() < deadline);
  co_return too_often();
}

}  // namespace scalio::redis
