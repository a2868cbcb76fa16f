#include "baseline/race/raced_paper.h"

#include <array>

#include "baseline/paper/paper_client.h"
#include "baseline/paper/paper_service.h"
#include "sim/disk.h"
#include "sim/sim_fabric.h"

namespace scalio::race {

namespace {
// As many slots as the cache of LEED + Ditto has (raced_leed.cc), and a log that goes round.
constexpr paper::CacheShape kCacheShape{.blocks = 4, .slots = 8};
constexpr paper::PaperGeometry kStoreShape{.hash_seed = 77,
                                           .log_blocks = 64,
                                           .buckets = 8,
                                           .overflow = 64,
                                           .value_blocks = 1,
                                           .values = 400};

class PaperRacer final : public RacedClient {
 public:
  explicit PaperRacer(std::unique_ptr<paper::PaperClient> client) : client_(std::move(client)) {}

  baseline::KvClient& kv() override { return *client_; }
  std::vector<linearizability::TimelinePart> parts(history::Time, history::Time) const override {
    return {};
  }
  Task<void> close() override { return client_->close(); }

 private:
  const std::unique_ptr<paper::PaperClient> client_;
};

// Nothing kills it.
class RacedPaper final : public RacedStore {
 public:
  explicit RacedPaper(sim::World& world)
      : world_(world),
        server_(world, "server", sim::Fault::freeze_server, [] {}),
        disk_(world, "ssd", Bytes(kStoreShape.size())),
        device_(server_, disk_),
        memory_((kCacheShape.size() + 63) / 64) {}

  Task<Status> start(sim::SimProcess&) override {
    Status formatted = co_await paper::format(device_, kStoreShape);
    if (!formatted.ok()) co_return formatted;
    auto opened = co_await paper::PaperEngine::open(server_, device_, region(), kCacheShape);
    if (!opened.ok()) co_return opened.status();
    engine_ = *std::move(opened);
    service_ = std::make_unique<paper::PaperService>(server_, *engine_, 0, 1);
    endpoint_.host =
        std::make_shared<sim::Host>(server_, *service_, layout::RegionGeometry{}, region(), 0);
    co_return Status();
  }

  Task<Result<std::unique_ptr<RacedClient>>> connect(sim::SimProcess& process) override {
    const std::uint64_t seed = ++clients_;
    auto connected = co_await paper::PaperClient::connect(
        process,
        [this, &process](std::uint32_t, Bytes hello) {
          return sim::SimChannel::connect(endpoint_, process, std::move(hello));
        },
        [this, &process](std::uint32_t) { return sim::open_disk(process, disk_); }, {.seed = seed});
    if (!connected.ok()) co_return connected.status();
    co_return std::unique_ptr<RacedClient>(std::make_unique<PaperRacer>(*std::move(connected)));
  }

  Task<void> stop(sim::SimProcess&) override {
    endpoint_.host = nullptr;
    co_await engine_->stop();
  }

 private:
  ByteSpan region() { return {memory_[0].data(), kCacheShape.size()}; }

  sim::World& world_;
  sim::SimProcess server_;
  sim::Disk disk_;
  sim::SimDevice device_;
  // Aligned to a cache line, as a mapping is.
  std::vector<std::array<std::byte, 64>> memory_;
  std::unique_ptr<paper::PaperEngine> engine_;
  std::unique_ptr<paper::PaperService> service_;
  sim::Endpoint endpoint_{world_, false, 0, nullptr};
  std::uint64_t clients_ = 0;
};
}  // namespace

std::unique_ptr<RacedStore> make_raced_paper(sim::World& world) {
  return std::make_unique<RacedPaper>(world);
}

}  // namespace scalio::race
