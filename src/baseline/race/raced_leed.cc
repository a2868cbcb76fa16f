#include "baseline/race/raced_leed.h"

#include <array>
#include <optional>

#include "baseline/ditto/ditto_memory.h"
#include "baseline/leed/leed_kv_client.h"
#include "baseline/leed/leed_service.h"
#include "baseline/leed_ditto/write_through.h"
#include "sim/disk.h"
#include "sim/sim_fabric.h"

namespace scalio::race {

using linearizability::TimelinePart;

namespace {
constexpr std::uint64_t kDittoSeed = 1;
constexpr std::size_t kFrequencyEntries = 64;
// 32 slots, and as many segments as clients may ask for: what is evicted has no room in the table.
constexpr ditto::DittoGeometry kCacheShape{.buckets = 4, .segments = 16};
// The smallest logs that are compacted.
constexpr leed::LeedGeometry kStoreShape{
    .ids = 16, .bucket_blocks = 1300, .value_blocks = 1000, .hash_seed = 77};

// The store behind the cache, which notes when it was asked.
class WatchedStore final : public baseline::KvClient {
 public:
  WatchedStore(const sim::World& world, baseline::KvClient& store) : world_(world), store_(store) {}

  void forget() { asked_ = answered_ = 0; }
  history::Time asked() const { return asked_; }  // 0: it was not
  history::Time answered() const { return answered_; }

  Task<Result<std::string>> get(std::string_view key) override {
    asked_ = now();
    Result<std::string> value = co_await store_.get(key);
    answered_ = now();
    co_return value;
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    asked_ = now();
    Status outcome = co_await store_.put(key, value);
    answered_ = now();
    co_return outcome;
  }
  Task<Status> remove(std::string_view key) override {
    asked_ = now();
    Status outcome = co_await store_.remove(key);
    answered_ = now();
    co_return outcome;
  }
  baseline::KvCounters counters() const override { return store_.counters(); }

 private:
  history::Time now() const { return static_cast<history::Time>(world_.now()); }

  const sim::World& world_;
  baseline::KvClient& store_;
  history::Time asked_ = 0;
  history::Time answered_ = 0;
};

class LeedRacer final : public RacedClient {
 public:
  explicit LeedRacer(std::unique_ptr<leed::LeedClient> leed)
      : leed_(std::move(leed)), store_(*leed_) {}

  baseline::KvClient& kv() override { return store_; }
  std::vector<TimelinePart> parts(history::Time, history::Time) const override { return {}; }
  Task<void> close() override { co_return; }

 private:
  const std::unique_ptr<leed::LeedClient> leed_;
  leed::LeedKvClient store_;
};

class LeedDittoRacer final : public RacedClient, private baseline::KvClient {
 public:
  LeedDittoRacer(const sim::World& world, std::unique_ptr<leed::LeedClient> leed,
                 std::unique_ptr<fabric::Connection> to_cache,
                 std::unique_ptr<ditto::DittoCache> cache)
      : leed_(std::move(leed)),
        leed_kv_(*leed_),
        store_(world, leed_kv_),
        to_cache_(std::move(to_cache)),
        cache_(std::move(cache)),
        through_(*cache_, store_) {}

  baseline::KvClient& kv() override { return *this; }
  std::vector<TimelinePart> parts(history::Time called, history::Time returned) const override {
    using Place = TimelinePart::Place;
    if (store_.asked() == 0) return {{Place::cache, called, returned}};
    std::vector<TimelinePart> parts;
    if (called < store_.asked()) parts.push_back({Place::cache, called, store_.asked()});
    parts.push_back({Place::store, store_.asked(), store_.answered()});
    if (store_.answered() < returned) parts.push_back({Place::cache, store_.answered(), returned});
    return parts;
  }
  Task<void> close() override { co_await cache_->drain(); }

 private:
  Task<Result<std::string>> get(std::string_view key) override {
    store_.forget();
    return through_.get(key);
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    store_.forget();
    return through_.put(key, value);
  }
  Task<Status> remove(std::string_view key) override {
    store_.forget();
    return through_.remove(key);
  }
  baseline::KvCounters counters() const override { return through_.counters(); }

  const std::unique_ptr<leed::LeedClient> leed_;
  leed::LeedKvClient leed_kv_;
  WatchedStore store_;
  const std::unique_ptr<fabric::Connection> to_cache_;
  const std::unique_ptr<ditto::DittoCache> cache_;
  ditto::WriteThrough through_;
};

// Nothing kills it.
class RacedLeed final : public RacedStore {
 public:
  RacedLeed(sim::World& world, std::optional<ditto::EvictionPolicy> cache)
      : world_(world),
        policy_(cache),
        server_(world, "server", sim::Fault::freeze_server, [] {}),
        disk_(world, "ssd", Bytes(kStoreShape.size())),
        device_(server_, disk_),
        region_((kCacheShape.size() + 63) / 64),
        memory_(kCacheShape, region(), [this] { return server_.now(); }) {}

  Task<Status> start(sim::SimProcess&) override {
    Status formatted = co_await leed::format(device_, kStoreShape);
    if (!formatted.ok()) co_return formatted;
    auto opened = co_await leed::LeedEngine::open(server_, device_);
    if (!opened.ok()) co_return opened.status();
    engine_ = *std::move(opened);
    service_ = std::make_unique<leed::LeedService>(server_, *engine_, 0, 1);
    store_.host =
        std::make_shared<sim::Host>(server_, *service_, layout::RegionGeometry{}, ByteSpan(), 0);
    cache_.host =
        std::make_shared<sim::Host>(server_, memory_, layout::RegionGeometry{}, region(), 0);
    co_return Status();
  }

  Task<Result<std::unique_ptr<RacedClient>>> connect(sim::SimProcess& process) override {
    auto connected =
        co_await leed::LeedClient::connect(process, [this, &process](std::uint32_t, Bytes hello) {
          return sim::SimChannel::connect(store_, process, std::move(hello));
        });
    if (!connected.ok()) co_return connected.status();
    if (!policy_) {
      co_return std::unique_ptr<RacedClient>(std::make_unique<LeedRacer>(*std::move(connected)));
    }
    auto to_cache = co_await sim::SimChannel::connect(cache_, process, {});
    if (!to_cache.ok()) co_return to_cache.status();
    auto cache = ditto::DittoCache::open(**to_cache, {.policy = *policy_,
                                                      .seed = kDittoSeed + ++clients_,
                                                      .frequency_entries = kFrequencyEntries});
    if (!cache.ok()) co_return cache.status();
    co_return std::unique_ptr<RacedClient>(std::make_unique<LeedDittoRacer>(
        world_, *std::move(connected), *std::move(to_cache), *std::move(cache)));
  }

  Task<void> stop(sim::SimProcess&) override {
    store_.host = cache_.host = nullptr;
    co_await engine_->stop();
  }

 private:
  ByteSpan region() { return {region_[0].data(), kCacheShape.size()}; }

  sim::World& world_;
  const std::optional<ditto::EvictionPolicy> policy_;
  sim::SimProcess server_;
  sim::Disk disk_;
  sim::SimDevice device_;
  std::unique_ptr<leed::LeedEngine> engine_;
  std::unique_ptr<leed::LeedService> service_;
  // Aligned to a cache line, as a mapping is.
  std::vector<std::array<std::byte, 64>> region_;
  ditto::DittoMemory memory_;
  sim::Endpoint store_{world_, false, 0, nullptr};
  sim::Endpoint cache_{world_, false, 0, nullptr};
  std::uint64_t clients_ = 0;
};
}  // namespace

std::unique_ptr<RacedStore> make_raced_leed(sim::World& world) {
  return std::make_unique<RacedLeed>(world, std::nullopt);
}

std::unique_ptr<RacedStore> make_raced_leed_ditto(sim::World& world, ditto::EvictionPolicy policy) {
  return std::make_unique<RacedLeed>(world, policy);
}

}  // namespace scalio::race
