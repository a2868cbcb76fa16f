#include "redis/update_key.h"

#include <fmt/format.h>

namespace scalio::redis {

namespace {
// Others than this gateway's commands of this kind must write the key as often.
constexpr int kTries = 64;

std::string too_often() {
  return fmt::format(
      "others wrote the key meanwhile, {} times in a row: nothing was done, try again", kTries);
}
}  // namespace

Task<bool> update_key(CommandCall& call, Change change) {
  const std::string_view key = call[1];
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  for (int tries = 0; tries < kTries; ++tries) {
    const Result<Record> now = co_await call.client().get(key);
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
  }
  call.fail(Status(Code::conflict, too_often()));
  co_return false;
}

Task<Result<Record>> take_key(CommandCall& call, std::string_view key) {
  const KeyTurns::Turn turn = co_await call.state().turns.take(key);
  for (int tries = 0; tries < kTries; ++tries) {
    Result<Record> now = co_await call.client().get(key);
    if (!now.ok()) co_return now;
    const Result<std::uint64_t> removed = co_await call.client().remove_if(key, now->version);
    if (removed.ok()) co_return now;
    if (removed.code() != Code::conflict) co_return removed.status();
  }
  co_return Status(Code::conflict, too_often());
}

}  // namespace scalio::redis
