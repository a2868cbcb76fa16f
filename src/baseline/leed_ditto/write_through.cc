#include "baseline/leed_ditto/write_through.h"

namespace scalio::ditto {

Task<Result<std::string>> WriteThrough::get(std::string_view key) {
  Result<std::string> cached = co_await cache_.get(key);
  if (cached.ok()) co_return cached;
  if (cached.code() != Code::not_found) count(cached.status());
  Result<std::string> stored = co_await backing_.get(key);
  if (stored.ok()) co_await cache(key, *stored);
  co_return stored;
}

Task<Status> WriteThrough::set(std::string_view key, std::string_view value) {
  const Status stored = co_await backing_.set(key, value);
  if (stored.ok()) co_await cache(key, value);
  co_return stored;
}

Task<Status> WriteThrough::remove(std::string_view key) {
  const Status removed = co_await backing_.remove(key);
  if (removed.ok()) count(co_await cache_.remove(key));
  co_return removed;
}

// What is not cached must not leave what was cached before.
Task<void> WriteThrough::cache(std::string_view key, std::string_view value) {
  const Status outcome = co_await cache_.set(key, value);
  count(outcome);
  if (!outcome.ok()) count(co_await cache_.remove(key));
}

}  // namespace scalio::ditto
