// DittoCache: a client of a Ditto cache (SOSP '23), which reads and changes the server's memory by
// one-sided operations alone. What it costs, in operations and in round trips, is in
// docs/evaluation.md, "Ditto".
//
// It promises little, as the original does: what clients do at once is not linearizable, a value
// that is overwritten while it is read may come in parts of both, and everything may be evicted at
// any time.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "baseline/ditto/bucket_snapshot.h"
#include "baseline/ditto/ditto_link.h"
#include "baseline/ditto/evictor.h"
#include "baseline/ditto/frequency_cache.h"
#include "baseline/ditto/object_allocator.h"

namespace scalio::ditto {

struct DittoOptions {
  EvictionPolicy policy = EvictionPolicy::lru;
  std::uint64_t seed = 1;  // of every chance it takes
  // Slots whose uses are combined; 32 B for each.
  std::size_t frequency_entries = 1 << 18;
};

// All calls on the connection's thread. Many operations may be in flight at once.
class DittoCache {
 public:
  // On a connection to a DittoMemory, which must outlive it. Failures: invalid (the server is
  // another one).
  static Result<std::unique_ptr<DittoCache>> open(fabric::Connection& connection,
                                                  const DittoOptions& options);
  // All operations have ended, drain() among them.
  ~DittoCache() = default;

  // Failures: not_found (it is not cached), unavailable (the connection was lost).
  Task<Result<std::string>> get(std::string_view key);
  // Ok also says that another client's set() of the key, or an eviction, was faster. Failures:
  // too_large (beyond kMaxObject; what was cached of the key stays), busy (no room was found for
  // it), corrupt (the server's answer), unavailable.
  Task<Status> set(std::string_view key, std::string_view value);
  // The key is cached no more, unless it is set meanwhile. Failures: busy (it was, all the time),
  // unavailable.
  Task<Status> remove(std::string_view key);
  // Waits for what operations have left behind that nobody waits for.
  Task<void> drain();

  const DittoCounters& counters() const { return link_.counters; }
  // Of the experts, as this client knows them.
  const ExpertValues& weights() const { return evictor_.weights(); }
  std::uint64_t free_units() const { return objects_.free_units(); }

 private:
  // An object that is to be put into its bucket.
  struct NewObject {
    std::string_view key;
    std::uint64_t hash = 0;
    SlotWord word;
  };
  class BucketRead;
  // What became of its units.
  enum class Placed : std::uint8_t { used, unused };

  DittoCache(fabric::Connection& connection, const DittoHello& hello, const DittoOptions& options);

  Task<Result<std::optional<std::uint32_t>>> find(const BucketSnapshot& bucket,
                                                  const SlotList& candidates, std::string_view key);
  Task<Result<Placed>> place(const NewObject& object, BucketSnapshot& bucket, std::uint64_t head);
  Task<Result<Placed>> replace(const NewObject& object, const BucketSnapshot& bucket,
                               std::uint32_t slot);
  Task<Result<std::optional<std::uint32_t>>> insert(const NewObject& object,
                                                    const BucketSnapshot& bucket,
                                                    std::uint64_t head);
  void used(std::uint64_t slot_at, std::uint64_t hash, std::uint64_t frequency);
  Detached add_uses(FrequencyCache::Uses uses);
  Detached remove_duplicate(std::string key, std::uint64_t hash, std::uint32_t slot,
                            std::uint64_t word);
  std::uint64_t slot_at(std::uint64_t hash, std::uint32_t slot) const {
    return link_.geometry.bucket_at(link_.geometry.bucket_of(hash)) + slot * kSlotSize;
  }

  DittoLink link_;
  Evictor evictor_;
  ObjectAllocator objects_;
  FrequencyCache frequencies_;
};

}  // namespace scalio::ditto
