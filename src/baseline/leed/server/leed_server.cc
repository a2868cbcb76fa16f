#include "baseline/leed/server/leed_server.h"

#include "baseline/leed/leed_service.h"
#include "baseline/system/server/engine_shard.h"

namespace scalio::leed {

namespace {
class LeedShard final : public baseline::EngineShard<LeedEngine, LeedService> {
 public:
  explicit LeedShard(const std::optional<LeedOptions>& options) : options_(options) {}

 private:
  // Clients have no one-sided operations, but every shard has a region.
  Result<std::size_t> region_size() const override { return std::size_t{4096}; }
  Task<Result<std::unique_ptr<LeedEngine>>> open_engine(EventLoop& loop, block::BlockDevice& device,
                                                        ByteSpan) override {
    return LeedEngine::open(loop, device, options_);
  }

  const std::optional<LeedOptions> options_;
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

LeedCounters LeedServer::counters() { return baseline::sum_counters<LeedShard>(*server_); }

Status format_file(const std::string& path, std::uint64_t records, std::uint64_t hash_seed) {
  return baseline::run_on_file(path, [&](block::BlockDevice& device) {
    return format(device, LeedGeometry::fit(device.size(), records, hash_seed));
  });
}

}  // namespace scalio::leed
