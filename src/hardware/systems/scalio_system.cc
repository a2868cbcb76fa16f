// Scalio: a shard for each slice of an SSD, on lanes, one a core of the server; clients that read
// the region and, past the server's CPU, the SSDs.
#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "client/block_view.h"
#include "client/shard_client.h"
#include "hardware/model_device.h"
#include "hardware/model_fabric.h"
#include "hardware/systems/modelled_system.h"
#include "hardware/systems/store_fill.h"
#include "layout/message.h"
#include "layout/superblock.h"
#include "server/lane.h"
#include "task/wait_group.h"

namespace scalio::hardware {

namespace {

// Of an SSD, for the paper's records. With fewer it is divided as they are, but for what batches in
// flight need, so that it has gone round while the cache was warmed, and goes on to do so.
constexpr std::uint64_t kLog = 256 << 20, kLeastLog = 8 << 20;
constexpr std::uint32_t kBucket = 1024;
// Of a bucket, so that hardly a record lies beside its home.
constexpr double kFill = 0.6;

// Of a slice.
std::uint64_t log_bytes(const SystemShape& shape) {
  const std::uint64_t bytes =
      shape.ssd_bytes > 0 ? shape.ssd_bytes / 8  // as `scalio format` has it
                          : std::clamp(kLog * shape.records / kPaperRecords, kLeastLog, kLog);
  return bytes / shape.slices / layout::kSuperblockSize * layout::kSuperblockSize;
}

layout::SsdGeometry base_geometry(const SystemShape& shape, std::uint32_t ssds) {
  layout::SsdGeometry g;
  g.uuid.fill(7);
  g.hash_seed = mix(shape.seed + 11);
  g.slices = shape.slices;
  g.shards = ssds * shape.slices;
  g.partitions = layout::usual_partitions(g.shards);
  g.bucket_size = kBucket;
  g.inline_limit = static_cast<std::uint32_t>(shape.key_size + shape.value_size);
  return g;
}

// One shard of the server, on its lane's thread.
struct ModelShard {
  ModelShard(Hardware& hardware, const SystemShape& shape, const layout::SsdGeometry& slice,
             ModelThread& thread, const layout::RegionGeometry& blocks, ByteSpan region)
      : device(hardware, thread, *hardware.ssds()[slice.ssd()], IoPath::kernel),
        geometry(slice),
        shard(thread, device, geometry, in_shard(blocks),
              region.subspan(blocks.base, blocks.size()),
              options(shape, hardware.machine().ssd, slice, blocks)) {}

  static server::ShardOptions options(const SystemShape& shape, const SsdShape& of,
                                      const layout::SsdGeometry& slice,
                                      const layout::RegionGeometry& blocks) {
    server::ShardOptions o;
    if (!shape.batching) o.log.batch_max = 1;
    o.new_number = [last = shape.seed + slice.shard]() mutable { return mix(++last); };
    o.log.key = model_log_key(slice.shard);
    o.region_base = blocks.base;
    o.merges = server::Merger::at_once(of.queue, slice.slices);
    return o;
  }
  static layout::RegionGeometry in_shard(layout::RegionGeometry blocks) {
    blocks.base = 0;
    return blocks;
  }

  ModelDevice device;
  const layout::SsdGeometry geometry;
  server::Shard shard;
};

// A core of the server, its lane, and the shards that it has.
struct ModelLane {
  using Shards = std::vector<std::unique_ptr<ModelShard>>;
  ModelLane(Hardware& hardware, const SystemShape& shape, std::uint16_t number,
            const std::vector<std::uint16_t>& deal,
            const std::vector<layout::SsdGeometry>& geometries)
      : thread(hardware.server_thread(number, Role::scalio_server, true)),
        memory(region_size(shape, number, deal, geometries[0])),
        shards(make(hardware, shape, number, deal, geometries, thread, memory.span())),
        lane(number, deal, services(shards)),
        end{hardware, thread, lane, memory.span()} {}

  static layout::RegionGeometry blocks(const SystemShape& shape, const layout::SsdGeometry& ssd) {
    return {std::max<std::uint64_t>(1, shape.cache_blocks / ssd.shards), shape.slots, 2,
            layout::slot_size_for(ssd.inline_limit)};
  }
  static std::uint64_t each(const SystemShape& shape, const layout::SsdGeometry& ssd) {
    return round_up(blocks(shape, ssd).size(), layout::RegionGeometry::kLine);
  }
  static std::uint64_t region_size(const SystemShape& shape, std::uint16_t number,
                                   const std::vector<std::uint16_t>& deal,
                                   const layout::SsdGeometry& ssd) {
    return static_cast<std::uint64_t>(std::ranges::count(deal, number)) * each(shape, ssd);
  }
  static Shards make(Hardware& hardware, const SystemShape& shape, std::uint16_t number,
                     const std::vector<std::uint16_t>& deal,
                     const std::vector<layout::SsdGeometry>& geometries, ModelThread& thread,
                     ByteSpan region) {
    Shards made;
    for (std::size_t i = 0; i < deal.size(); ++i) {
      if (deal[i] != number) continue;
      layout::RegionGeometry place = blocks(shape, geometries[i]);
      place.base = made.size() * each(shape, geometries[i]);
      made.push_back(
          std::make_unique<ModelShard>(hardware, shape, geometries[i], thread, place, region));
    }
    return made;
  }
  static std::vector<server::Shard*> services(const Shards& shards) {
    std::vector<server::Shard*> all;
    for (const auto& s : shards) all.push_back(&s->shard);
    return all;
  }

  ModelThread& thread;
  block::Buffer memory;
  const Shards shards;
  server::Lane lane;
  ServiceEnd end;
};

// A client of one shard, which is on the SSD.
struct ModelShardClient {
  ModelShardClient(Hardware& hardware, client::Lanes& lanes, std::uint32_t shard, std::uint32_t ssd,
                   ModelThread& thread, IoPath path, ModelThread* target,
                   const ClientOptions& options)
      : link(
            thread,
            [&lanes, shard](Bytes hello, Nanos bound) {
              return lanes.join(shard, std::move(hello), bound);
            },
            options),
        client(
            thread, link,
            [&hardware, ssd, &thread, path, target](layout::HelloReply) {
              return open(hardware, ssd, thread, path, target);
            },
            options) {}

  static Task<Result<client::OpenedSsd>> open(Hardware& hardware, std::uint32_t ssd,
                                              ModelThread& thread, IoPath path,
                                              ModelThread* target) {
    std::unique_ptr<block::BlockDevice> device =
        std::make_unique<ModelDevice>(hardware, thread, *hardware.ssds()[ssd], path, target);
    co_return client::OpenedSsd{std::move(device)};
  }

  client::ShardLink link;
  client::ShardClient client;
};

// A client thread, as client::Client is one.
class ShardsKvClient : public baseline::KvClient {
 public:
  using Shards = std::vector<std::unique_ptr<ModelShardClient>>;
  ShardsKvClient(std::unique_ptr<client::Lanes> lanes, Shards shards,
                 const layout::SsdGeometry& geometry)
      : lanes_(std::move(lanes)),
        shards_(std::move(shards)),
        hash_seed_(geometry.hash_seed),
        placement_(geometry.placement()) {}

  Task<Result<std::string>> get(std::string_view key) override {
    const std::uint64_t hash = hash_key(key, hash_seed_);
    Result<Record> got = co_await of(hash).client.get(key, placement_.point_of(hash));
    if (!got.ok()) co_return got.status();
    co_return std::move(got->value);
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    return write(layout::RequestKind::put, key, value);
  }
  Task<Status> remove(std::string_view key) override {
    return write(layout::RequestKind::remove, key, {});
  }
  baseline::KvCounters counters() const override {
    ClientCounters sum;
    for (const auto& shard : shards_) sum += shard->client.counters();
    return {.gets = sum.gets,
            .hits = sum.hits,
            .ssd_reads = sum.ssd_reads,
            .one_sided = sum.region_reads + sum.region_writes + sum.region_cas,
            .one_sided_bytes = sum.region_bytes_read,
            .messages = sum.writes};
  }

  Shards& shards() { return shards_; }

 protected:
  ModelShardClient& of(std::uint64_t hash) { return *shards_[placement_.shard_of(hash)]; }
  std::uint64_t hash_seed() const { return hash_seed_; }
  const layout::Placement& placement() const { return placement_; }

 private:
  Task<Status> write(layout::RequestKind kind, std::string_view key, std::string_view value) {
    const Result<std::uint64_t> version =
        co_await of(hash_key(key, hash_seed_)).client.write(kind, key, value, 0);
    co_return version.status();
  }

  const std::unique_ptr<client::Lanes> lanes_;
  Shards shards_;
  const std::uint64_t hash_seed_;
  const layout::Placement placement_;
};

// Figure 13's without a cache: what is not in a write slot is read from the SSD, and not cached.
class UncachedKvClient final : public ShardsKvClient {
 public:
  using ShardsKvClient::ShardsKvClient;

  Task<Result<std::string>> get(std::string_view key) override {
    const std::uint64_t hash = hash_key(key, hash_seed());
    const std::uint64_t point = placement().point_of(hash);
    ModelShardClient& shard = of(hash);
    ++gets_;
    for (;;) {
      const client::ShardConnection& link = *shard.link.current();
      const layout::RegionGeometry& g = link.hello.region;
      Bytes bytes(g.block_size());
      const std::uint64_t block = g.block_of(point);
      fabric::Op read = link.connection->read(g.block_at(block), bytes);
      const Code code = co_await read;
      if (code != Code::ok) co_return Status(code, "the connection was lost");
      client::BlockView view(g, block, bytes);
      const client::BlockView::Found found = view.look_up(key, layout::tag_of(point));
      if (found == client::BlockView::Found::replaced) continue;
      if (found == client::BlockView::Found::record) {
        co_return std::string(view.record().value);
      }
      Result<std::optional<client::StoredRecord>> stored =
          co_await shard.client.ssd().find(link.hello, key, point);
      if (!stored.ok()) co_return stored.status();
      if (!*stored) co_return Status(Code::not_found, "");
      co_return std::move((*stored)->record.value);
    }
  }
  baseline::KvCounters counters() const override {
    baseline::KvCounters c = ShardsKvClient::counters();
    c.gets = gets_;
    return c;
  }

 private:
  std::uint64_t gets_ = 0;
};

class ScalioSystem final : public ModelledSystem {
 public:
  ScalioSystem(Hardware& hardware, const SystemShape& shape) : hardware_(hardware), shape_(shape) {}

  Status start() {
    const std::uint64_t shards = hardware_.ssds().size() * shape_.slices;
    if (shards > std::uint64_t{hardware_.cores()} * layout::kMaxShardsOfALane) {
      return Status(Code::invalid,
                    fmt::format("{} slices on {} cores: a core serves {} at most; give fewer "
                                "slices or more cores",
                                shards, hardware_.cores(), layout::kMaxShardsOfALane));
    }
    Result<std::vector<layout::SsdGeometry>> slices = format_ssds();
    if (!slices.ok()) return slices.status();
    if (Status s = start_lanes(*slices); !s.ok()) return s;
    if (!shape_.offload) targets_ = hardware_.target_threads();
    for (std::uint32_t i = 0; i < shape_.client_threads; ++i) {
      if (Status s = add_client(i); !s.ok()) return s;
    }
    return Status();
  }

  // Two I/Os a miss and two a PUT, as the artifact has it.
  std::uint64_t formula_ios(const OperationCounts& c) const override {
    return 2 * (c.gets - c.hits) + 2 * c.puts;
  }

  void stop() override {
    hardware_.drain();
    clients_.clear();
    kv_clients_.clear();
    hardware_.drain();
    for (auto& lane : lanes_) {
      for (auto& shard : lane->shards) {
        const Status s = hardware_.run(lane->thread, shard->shard.stop());
        SCALIO_ASSERT(s.ok());
      }
    }
    hardware_.drain();
  }

 private:
  // With all records. The geometry of each slice.
  Result<std::vector<layout::SsdGeometry>> format_ssds() {
    const auto ssds = static_cast<std::uint32_t>(hardware_.ssds().size());
    std::vector<layout::SsdGeometry> slices;
    std::vector<SparseBytes*> contents;
    for (std::uint32_t i = 0; i < ssds; ++i) {
      layout::SsdGeometry base = base_geometry(shape_, ssds);
      base.shard = i * base.slices;
      ModelSsd& ssd = *hardware_.ssds()[i];
      Result<layout::SsdGeometry> g =
          layout::plan_ssd(base, ssd.contents().size(), log_bytes(shape_));
      if (!g.ok()) return g.status();
      for (std::uint32_t n = 0; n < g->slices; ++n) slices.push_back(layout::slice_of(*g, n));
      contents.push_back(&ssd.contents());
    }
    fill_scalio(slices, contents, {shape_.records, shape_.key_size, shape_.value_size});
    return slices;
  }

  Status start_lanes(const std::vector<layout::SsdGeometry>& slices) {
    const auto shards = static_cast<std::uint32_t>(slices.size());
    const std::uint32_t lanes = std::min(shards, hardware_.cores());
    const std::vector<std::uint16_t> deal = server::deal_shards(shards, lanes);
    for (std::uint16_t i = 0; i < lanes; ++i) {
      hardware_.use_core(i, "shards");
      lanes_.push_back(std::make_unique<ModelLane>(hardware_, shape_, i, deal, slices));
      for (auto& shard : lanes_.back()->shards) {
        Status s = hardware_.run(lanes_.back()->thread, shard->shard.start());
        if (!s.ok()) return s;
      }
    }
    geometry_ = slices[0];
    return Status();
  }

  Status add_client(std::uint32_t number) {
    ModelThread& thread = hardware_.client_thread(Role::scalio_client);
    ShardsKvClient::Shards shards;
    ClientOptions options;
    options.block_read = shape_.two_reads ? BlockRead::two : BlockRead::whole;
    auto lanes = std::make_unique<client::Lanes>(
        thread,
        [this, &thread](std::uint32_t lane, Bytes hello,
                        Nanos) -> Task<Result<std::unique_ptr<fabric::Connection>>> {
          co_return ModelConnection::connect(lanes_[lane]->end, thread, hello);
        });
    for (std::uint32_t i = 0; i < geometry_.shards; ++i) {
      // A client reads all slices of an SSD over one association.
      const std::uint32_t ssd = i / geometry_.slices;
      ModelThread* target = targets_.empty() ? nullptr : targets_[(number + ssd) % targets_.size()];
      shards.push_back(std::make_unique<ModelShardClient>(
          hardware_, *lanes, i, ssd, thread, target != nullptr ? IoPath::standard : IoPath::offload,
          target, options));
      const auto connected = hardware_.run(thread, shards.back()->link.get());
      if (!connected.ok()) return connected.status();
    }
    std::unique_ptr<ShardsKvClient> client;
    if (shape_.cache) {
      client = std::make_unique<ShardsKvClient>(std::move(lanes), std::move(shards), geometry_);
    } else {
      client = std::make_unique<UncachedKvClient>(std::move(lanes), std::move(shards), geometry_);
    }
    clients_.push_back({thread, *client});
    kv_clients_.push_back(std::move(client));
    return Status();
  }

  Hardware& hardware_;
  const SystemShape shape_;
  layout::SsdGeometry geometry_;  // of the first shard
  std::vector<std::unique_ptr<ModelLane>> lanes_;
  std::vector<ModelThread*> targets_;
  std::vector<std::unique_ptr<ShardsKvClient>> kv_clients_;
};

}  // namespace

std::uint64_t scalio_ssd_bytes(const SystemShape& shape, std::uint32_t ssds) {
  const double record =
      static_cast<double>(layout::kBucketRecordHeader + shape.key_size + shape.value_size);
  const double room = kBucket - layout::kBucketHeader;
  const double per_bucket =
      std::max(1.0, static_cast<double>(static_cast<std::uint64_t>(room / record))) * kFill;
  const double buckets =
      static_cast<double>(shape.records + shape.inserts) / per_bucket / (ssds * shape.slices);
  const std::uint64_t slice =
      log_bytes(shape) + (static_cast<std::uint64_t>(buckets) + 512) * kBucket;
  return round_up(shape.slices * slice, 1 << 20);
}

Result<std::unique_ptr<ModelledSystem>> make_scalio(Hardware& hardware, const SystemShape& shape) {
  auto system = std::make_unique<ScalioSystem>(hardware, shape);
  if (Status s = system->start(); !s.ok()) return s;
  return std::unique_ptr<ModelledSystem>(std::move(system));
}

}  // namespace scalio::hardware
