// LEED, and LEED behind a Ditto cache, whose server the control thread is. The SSDs are driven by
// polling, in user space.
#include <fmt/format.h>

#include "base/hash.h"
#include "baseline/ditto/ditto_memory.h"
#include "baseline/leed/leed_kv_client.h"
#include "baseline/leed/leed_service.h"
#include "baseline/leed_ditto/write_through.h"
#include "hardware/model_device.h"
#include "hardware/model_fabric.h"
#include "hardware/systems/modelled_system.h"
#include "hardware/systems/server_threads.h"
#include "hardware/systems/store_fill.h"

namespace scalio::hardware {

namespace {

// Memory of a client's table of uses: as many entries as pay for few operations.
constexpr std::size_t kFrequencyEntries = 1 << 14;

// One SSD's part of the server.
struct ModelLeedSsd {
  ModelLeedSsd(Hardware& hardware, ModelThread& on, std::uint32_t number)
      : thread(on), device(hardware, thread, *hardware.ssds()[number], IoPath::driver) {}

  ModelThread& thread;
  ModelDevice device;
  std::unique_ptr<leed::LeedEngine> engine;
  std::unique_ptr<leed::LeedService> service;
  block::Buffer region{4096};
  std::unique_ptr<ServiceEnd> end;
};

struct ModelLeedClient {
  std::unique_ptr<leed::LeedClient> leed;
  std::unique_ptr<leed::LeedKvClient> kv;
  std::unique_ptr<fabric::Connection> ditto_connection;
  std::unique_ptr<ditto::DittoCache> ditto;
  std::unique_ptr<ditto::WriteThrough> both;
};

class LeedSystem final : public ModelledSystem {
 public:
  LeedSystem(Hardware& hardware, const SystemShape& shape, DittoCaching caching)
      : hardware_(hardware), shape_(shape), caching_(caching) {}

  Status start() {
    threads_ = assign_threads(hardware_, shape_.ssd_cores, Role::leed_server);
    control_ = std::make_unique<Control>(*threads_.control);
    if (Status s = open_full(); !s.ok()) return s;
    if (caching_ != DittoCaching::none) {
      if (Status s = add_cache(); !s.ok()) return s;
    }
    for (std::uint32_t i = 0; i < shape_.client_threads; ++i) {
      if (Status s = add_client(i); !s.ok()) return s;
    }
    return Status();
  }

  std::uint64_t formula_ios(const OperationCounts& c) const override {
    return 2 * (c.gets - c.hits) + 3 * c.puts;
  }

  void stop() override {
    for (auto& client : leed_clients_) {
      if (client->ditto) hardware_.run(control_->thread, drained(*client->ditto));
    }
    clients_.clear();
    hardware_.drain();
    leed_clients_.clear();
    hardware_.drain();
    for (auto& ssd : leed_ssds_) {
      hardware_.run(ssd->thread, stopped(*ssd->engine));
      ssd->service.reset();
    }
    hardware_.drain();
  }

 private:
  // The control thread, and what it serves.
  struct Control {
    explicit Control(ModelThread& on) : thread(on) {}
    ModelThread& thread;
    std::unique_ptr<block::Buffer> memory;
    std::unique_ptr<ditto::DittoMemory> ditto;
    std::unique_ptr<ServiceEnd> end;
  };
  static Task<bool> stopped(leed::LeedEngine& engine) {
    co_await engine.stop();
    co_return true;
  }
  static Task<bool> drained(ditto::DittoCache& cache) {
    co_await cache.drain();
    co_return true;
  }

  // Fills the SSDs, and begins to serve them.
  Status open_full() {
    const auto ssds = static_cast<std::uint32_t>(hardware_.ssds().size());
    const std::uint64_t size = hardware_.ssds()[0]->contents().size();
    const leed::LeedGeometry geometry = leed::LeedGeometry::fit(
        size, (shape_.records + shape_.inserts) / ssds + 1, mix(shape_.seed + 21));
    if (Status s = geometry.check(size); !s.ok()) return s;
    std::vector<SparseBytes*> contents;
    for (const auto& ssd : hardware_.ssds()) contents.push_back(&ssd->contents());
    std::vector<leed::Recovered> found =
        fill_leed(geometry, contents, {shape_.records, shape_.key_size, shape_.value_size});
    for (std::uint32_t i = 0; i < ssds; ++i) {
      if (Status s = open(i, ssds, geometry, std::move(found[i])); !s.ok()) return s;
    }
    return Status();
  }

  Status open(std::uint32_t number, std::uint32_t of, const leed::LeedGeometry& geometry,
              leed::Recovered found) {
    leed_ssds_.push_back(
        std::make_unique<ModelLeedSsd>(hardware_, threads_.worker_of(number), number));
    ModelLeedSsd& ssd = *leed_ssds_.back();
    leed::LeedOptions options = leed::LeedOptions::for_store(geometry);
    options.hand_on_written = !shape_.original_locks;
    auto engine = hardware_.run(
        ssd.thread,
        leed::LeedEngine::resume(ssd.thread, ssd.device, geometry, std::move(found), options));
    if (!engine.ok()) return engine.status();
    ssd.engine = *std::move(engine);
    ssd.service = std::make_unique<leed::LeedService>(ssd.thread, *ssd.engine, number, of);
    ssd.end.reset(
        new ServiceEnd{hardware_, ssd.thread, *ssd.service, ssd.region.span(), threads_.network});
    return Status();
  }

  Status add_cache() {
    ditto::DittoGeometry g;
    g.buckets = shape_.cache_blocks * shape_.slots / ditto::kSlots;
    // As much as its slots can name, and what clients have in hand.
    const std::uint64_t units =
        (ditto::kObjectHeader + shape_.key_size + shape_.value_size + ditto::kUnit - 1) /
        ditto::kUnit;
    g.segments = g.buckets * ditto::kSlots * units / (ditto::kSegmentSize / ditto::kUnit) + 1 +
                 2 * shape_.client_threads;
    if (Status s = g.check(); !s.ok()) return s;
    control_->memory = std::make_unique<block::Buffer>(g.size());
    control_->ditto = std::make_unique<ditto::DittoMemory>(
        g, control_->memory->span(), [this] { return hardware_.queue().now(); });
    control_->end.reset(
        new ServiceEnd{hardware_, control_->thread, *control_->ditto, control_->memory->span()});
    return Status();
  }

  Task<Result<std::unique_ptr<fabric::Connection>>> connect(ModelThread& thread, std::uint32_t ssd,
                                                            Bytes hello) {
    co_return ModelConnection::connect(*leed_ssds_[ssd]->end, thread, hello);
  }

  Status add_client(std::uint32_t number) {
    const bool cached = caching_ != DittoCaching::none;
    ModelThread& thread = hardware_.client_thread(cached ? Role::ditto_client : Role::leed_client);
    auto client = std::make_unique<ModelLeedClient>();
    auto made = hardware_.run(
        thread, leed::LeedClient::connect(thread,
                                          [this, &thread](std::uint32_t ssd, Bytes hello) {
                                            return connect(thread, ssd, std::move(hello));
                                          },
                                          {.batch_max = shape_.batch}));
    if (!made.ok()) return made.status();
    client->leed = *std::move(made);
    client->kv = std::make_unique<leed::LeedKvClient>(*client->leed);
    if (cached) {
      auto connection = ModelConnection::connect(*control_->end, thread, {});
      if (!connection.ok()) return connection.status();
      client->ditto_connection = *std::move(connection);
      ditto::DittoOptions options;
      options.policy = caching_ == DittoCaching::lru ? ditto::EvictionPolicy::lru
                                                     : ditto::EvictionPolicy::adaptive;
      options.seed = mix(shape_.seed + number + 31);
      options.frequency_entries = kFrequencyEntries;
      auto cache = ditto::DittoCache::open(*client->ditto_connection, options);
      if (!cache.ok()) return cache.status();
      client->ditto = *std::move(cache);
      client->both = std::make_unique<ditto::WriteThrough>(*client->ditto, *client->kv);
    }
    baseline::KvClient& kv = cached ? static_cast<baseline::KvClient&>(*client->both) : *client->kv;
    clients_.push_back({thread, kv});
    leed_clients_.push_back(std::move(client));
    return Status();
  }

  Hardware& hardware_;
  const SystemShape shape_;
  const DittoCaching caching_;
  std::unique_ptr<Control> control_;
  ServerThreads threads_;
  std::vector<std::unique_ptr<ModelLeedSsd>> leed_ssds_;
  std::vector<std::unique_ptr<ModelLeedClient>> leed_clients_;
};

}  // namespace

std::uint64_t leed_ssd_bytes(const SystemShape& shape, std::uint32_t ssds) {
  const std::uint64_t records = (shape.records + shape.inserts) / ssds + 1;
  const std::uint64_t values =
      records * leed::blocks_of(static_cast<std::uint32_t>(shape.value_size)) * leed::kBlock;
  // Values twice, so that compaction has something to gain, and their ids; a quarter of all is for
  // buckets.
  return round_up((2 * values + values / 32) * 4 / 3 + (16 << 20), 1 << 20);
}

Result<std::unique_ptr<ModelledSystem>> make_leed(Hardware& hardware, const SystemShape& shape,
                                                  DittoCaching caching) {
  auto system = std::make_unique<LeedSystem>(hardware, shape, caching);
  if (Status s = system->start(); !s.ok()) return s;
  return std::unique_ptr<ModelledSystem>(std::move(system));
}

}  // namespace scalio::hardware
