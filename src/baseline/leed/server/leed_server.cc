#include "baseline/leed/server/leed_server.h"

#include "baseline/leed/leed_service.h"
#include "block/uring_device.h"
#include "task/run_to_end.h"

namespace scalio::leed {

namespace {
class LeedShard final : public baseline::SsdShard {
 public:
  explicit LeedShard(const std::optional<LeedOptions>& options) : options_(options) {}

  Task<Status> open(EventLoop& loop, block::BlockDevice& device, std::uint32_t number,
                    std::uint32_t of) override {
    // Clients have no one-sided operations, but every shard has a region.
    constexpr std::size_t kRegion = 4096;
    loop_ = &loop;
    auto region = fabric::Region::create(kRegion);
    if (!region.ok()) co_return region.status();
    region_ = *std::move(region);
    auto made = co_await LeedEngine::open(loop, device, options_);
    if (!made.ok()) co_return made.status();
    engine_ = *std::move(made);
    service_ = std::make_unique<LeedService>(loop, *engine_, number, of);
    co_return Status();
  }
  fabric::Region& region() override { return *region_; }
  fabric::Service& service() override { return *service_; }
  Task<Status> close() override {
    // Operations end by themselves: each waits for I/O or for others that do.
    constexpr Nanos kLook = kMillisecond;
    while (service_ && service_->batches() > 0) co_await loop_->sleep(kLook);
    if (engine_) co_await engine_->stop();
    service_.reset();
    engine_.reset();
    co_return Status();
  }
  LeedCounters counters() const { return engine_->counters(); }

 private:
  const std::optional<LeedOptions> options_;
  EventLoop* loop_ = nullptr;
  std::unique_ptr<fabric::Region> region_;
  std::unique_ptr<LeedEngine> engine_;
  std::unique_ptr<LeedService> service_;
};
}  // namespace

Result<std::unique_ptr<LeedServer>> LeedServer::start(
    std::span<const fabric::ServerTransport> table, LeedServerOptions options) {
  options.server.name = "leed";
  auto server = baseline::SsdServer::start(
      table, std::move(options.server),
      [engine = options.engine] { return std::make_unique<LeedShard>(engine); });
  if (!server.ok()) return server.status();
  return std::unique_ptr<LeedServer>(new LeedServer(*std::move(server)));
}

LeedCounters LeedServer::counters() {
  LeedCounters sum;
  server_->visit([&](baseline::SsdShard& shard) {
    const LeedCounters c = static_cast<LeedShard&>(shard).counters();
    sum.gets += c.gets;
    sum.sets += c.sets;
    sum.removes += c.removes;
    sum.moved += c.moved;
    sum.handed_on += c.handed_on;
    sum.bucket_chunks += c.bucket_chunks;
    sum.value_chunks += c.value_chunks;
    sum.waiting += c.waiting;
  });
  return sum;
}

Status format_file(const std::string& path, std::uint64_t records, std::uint64_t hash_seed) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  auto device = block::UringDevice::open(**loop, path, block::Access::exclusive);
  if (!device.ok()) return device.status();
  return run_to_end(**loop,
                    format(**device, LeedGeometry::fit((*device)->size(), records, hash_seed)));
}

}  // namespace scalio::leed
