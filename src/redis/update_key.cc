#include "redis/update_key.h"

#include <fmt/format.h>

namespace scalio::redis {

namespace {
// Others than this gateway's commands of this kind must write the key as often.
constexpr int kTries = 64;
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
  call.fail(fmt::format(
      "ERR others wrote the key meanwhile, {} times in a row: nothing was done, try again",
      kTries));
  co_return false;
}

}  // namespace scalio::redis
