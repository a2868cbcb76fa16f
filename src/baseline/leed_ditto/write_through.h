// WriteThrough: a Ditto cache before a store, as LEED + Ditto is run: what is missed is read from
// the store and cached, what is written goes to the store and then to the cache.
//
// Nothing keeps the two consistent, and that is the point. Between a client's access to the store
// and its set() of the cache another client may do both, and the older value stays in the cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "baseline/ditto/ditto_cache.h"
#include "baseline/system/kv_client.h"

namespace scalio::ditto {

// All calls on the cache's thread. Many operations may be in flight at once.
class WriteThrough final : public baseline::KvClient {
 public:
  // Both must outlive it.
  WriteThrough(DittoCache& cache, baseline::KvClient& backing) : cache_(cache), backing_(backing) {}

  // Outcomes are the store's. A cache that fails makes reads slower, and that is counted; if it
  // does not answer at all, what it held of a key stays in it.
  Task<Result<std::string>> get(std::string_view key) override;
  Task<Status> put(std::string_view key, std::string_view value) override;
  Task<Status> remove(std::string_view key) override;
  baseline::KvCounters counters() const override;

  std::uint64_t cache_failures() const { return cache_failures_; }

 private:
  Task<void> cache(std::string_view key, std::string_view value);
  void count(const Status& outcome) { cache_failures_ += outcome.ok() ? 0 : 1; }

  DittoCache& cache_;
  baseline::KvClient& backing_;
  std::uint64_t cache_failures_ = 0;
};

}  // namespace scalio::ditto
