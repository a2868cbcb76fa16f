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

Task<Status> WriteThrough::put(std::string_view key, std::string_view value) {
  const Status stored = co_await backing_.put(key, value);
  if (stored.ok()) co_await cache(key, value);
  co_return stored;
}

Task<Status> WriteThrough::remove(std::string_view key) {
  const Status removed = co_await backing_.remove(key);
  if (removed.ok()) count(co_await cache_.remove(key));
  co_return removed;
}

// A GET that misses is one of the backing's as well, and counts once.
baseline::KvCounters WriteThrough::counters() const {
  const DittoCounters& cache = cache_.counters();
  baseline::KvCounters sum = backing_.counters();
  sum.gets = cache.gets;
  sum.hits = cache.hits;
  sum.one_sided += cache.reads + cache.writes + cache.swaps;
  sum.one_sided_bytes += cache.read_bytes + cache.write_bytes;
  sum.messages += cache.messages;
  return sum;
}

// What is not cached must not leave what was cached before.
Task<void> WriteThrough::cache(std::string_view key, std::string_view value) {
  const Status outcome = co_await cache_.set(key, value);
  count(outcome);
  if (!outcome.ok()) count(co_await cache_.remove(key));
}

}  // namespace scalio::ditto
