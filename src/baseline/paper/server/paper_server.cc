#include "baseline/paper/server/paper_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "baseline/paper/paper_service.h"
#include "block/uring_device.h"
#include "task/run_to_end.h"

namespace scalio::paper {

namespace {
class PaperShard final : public baseline::SsdShard {
 public:
  PaperShard(const CacheShape& shape, const PaperOptions& options)
      : shape_(shape), options_(options) {}

  Task<Status> open(EventLoop& loop, block::BlockDevice& device, std::uint32_t number,
                    std::uint32_t of) override {
    loop_ = &loop;
    Status s = shape_.check();
    if (!s.ok()) co_return s;
    auto region = fabric::Region::create(shape_.size());
    if (!region.ok()) co_return region.status();
    region_ = *std::move(region);
    auto made = co_await PaperEngine::open(loop, device, region_->span(), shape_, options_);
    if (!made.ok()) co_return made.status();
    engine_ = *std::move(made);
    service_ = std::make_unique<PaperService>(loop, *engine_, number, of);
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
  PaperCounters counters() const { return engine_->counters(); }

 private:
  const CacheShape shape_;
  const PaperOptions options_;
  EventLoop* loop_ = nullptr;
  std::unique_ptr<fabric::Region> region_;
  std::unique_ptr<PaperEngine> engine_;
  std::unique_ptr<PaperService> service_;
};

Status check_atomics(std::span<const fabric::ServerTransport> table,
                     const std::vector<net::Uri>& listen) {
  for (const net::Uri& uri : listen) {
    for (const fabric::ServerTransport& t : table) {
      if (t.scheme.name != uri.scheme || t.atomics == fabric::Atomics::cpu) continue;
      return Status(Code::invalid,
                    fmt::format("{}: the paper's Scalio needs a CAS that is atomic with the "
                                "server's CPU; listen at unix: or tcp:",
                                uri.text()));
    }
  }
  return Status();
}
}  // namespace

CacheShape shape_for(std::uint64_t memory, std::size_t ssds, std::uint32_t record_bytes,
                     std::uint32_t slots) {
  CacheShape shape;
  shape.slots = slots;
  shape.body = static_cast<std::uint32_t>(round_up(record_bytes, 8));
  const std::uint64_t blocks = memory / std::max<std::size_t>(ssds, 1) / shape.block_size();
  shape.blocks = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(blocks, 1, std::numeric_limits<std::uint32_t>::max()));
  return shape;
}

Status format_file(const std::string& path, std::uint64_t records, std::uint32_t value_size,
                   std::uint64_t hash_seed) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  auto device = block::UringDevice::open(**loop, path, block::Access::exclusive);
  if (!device.ok()) return device.status();
  return run_to_end(**loop, format(**device, PaperGeometry::fit((*device)->size(), records,
                                                                value_size, hash_seed)));
}

Result<std::unique_ptr<PaperServer>> PaperServer::start(
    std::span<const fabric::ServerTransport> table, PaperServerOptions options) {
  Status s = check_atomics(table, options.server.listen);
  if (!s.ok()) return s;
  options.server.name = "paper";
  const CacheShape shape = options.shape;
  const PaperOptions engine = options.engine;
  auto server = baseline::SsdServer::start(table, std::move(options.server), [shape, engine] {
    return std::make_unique<PaperShard>(shape, engine);
  });
  if (!server.ok()) return server.status();
  return std::unique_ptr<PaperServer>(new PaperServer(*std::move(server)));
}

PaperCounters PaperServer::counters() {
  PaperCounters sum;
  server_->visit(
      [&](baseline::SsdShard& shard) { sum += static_cast<PaperShard&>(shard).counters(); });
  return sum;
}

}  // namespace scalio::paper
