#include "baseline/paper/server/paper_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "baseline/paper/paper_service.h"
#include "baseline/system/server/engine_shard.h"

namespace scalio::paper {

namespace {
class PaperShard final : public baseline::EngineShard<PaperEngine, PaperService> {
 public:
  PaperShard(const CacheShape& shape, const PaperOptions& options)
      : shape_(shape), options_(options) {}

 private:
  Result<std::size_t> region_size() const override {
    Status s = shape_.check();
    if (!s.ok()) return s;
    return shape_.size();
  }
  Task<Result<std::unique_ptr<PaperEngine>>> open_engine(EventLoop& loop,
                                                         block::BlockDevice& device,
                                                         ByteSpan region) override {
    return PaperEngine::open(loop, device, region, shape_, options_);
  }

  const CacheShape shape_;
  const PaperOptions options_;
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
  return baseline::run_on_file(path, [&](block::BlockDevice& device) {
    return format(device, PaperGeometry::fit(device.size(), records, value_size, hash_seed));
  });
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

PaperCounters PaperServer::counters() { return baseline::sum_counters<PaperShard>(*server_); }

}  // namespace scalio::paper
