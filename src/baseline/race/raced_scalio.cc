#include "baseline/race/raced_scalio.h"

#include "base/hash.h"
#include "client/shard_client.h"
#include "sim/sim_server.h"

namespace scalio::race {

using layout::RequestKind;

namespace {
constexpr Nanos kPoll = kMillisecond;
constexpr int kPolls = 10'000;
// As many slots as the cache of LEED + Ditto has (raced_leed.cc), and fewer than a race has keys.
constexpr sim::StoreShape kShape{
    .bucket_size = 1024, .buckets = 16, .blocks = 4, .read_slots = 8, .write_slots = 2};

class ScalioRacer final : public RacedClient, private baseline::KvClient {
 public:
  ScalioRacer(sim::SimProcess& process, sim::SimServer& server, sim::SimShard& shard)
      : shard_(shard),
        lanes_(process,
               [&server, &process](std::uint32_t lane, Bytes hello, Nanos) {
                 return server.connect(lane, process, std::move(hello));
               }),
        link_(process,
              [this](Bytes hello, Nanos bound) { return lanes_.join(0, std::move(hello), bound); },
              {}),
        client_(process, link_,
                [&shard, &process](layout::HelloReply) -> Task<Result<client::OpenedSsd>> {
                  auto device = co_await sim::open_disk(process, shard.disk());
                  client::OpenedSsd opened{*std::move(device)};
                  co_return opened;
                },
                {}) {}

  baseline::KvClient& kv() override { return *this; }
  std::vector<linearizability::TimelinePart> parts(history::Time, history::Time) const override {
    return {};
  }
  Task<void> close() override {
    link_.close();
    lanes_.close();
    co_return;
  }

 private:
  Task<Result<std::string>> get(std::string_view key) override {
    Result<Record> record = co_await client_.get(key, hash_key(key, shard_.ssd().hash_seed));
    if (!record.ok()) co_return record.status();
    co_return std::move(record->value);
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    const Result<std::uint64_t> version = co_await client_.write(RequestKind::put, key, value, 0);
    co_return version.status();
  }
  Task<Status> remove(std::string_view key) override {
    const Result<std::uint64_t> version = co_await client_.write(RequestKind::remove, key, "", 0);
    co_return version.code() == Code::not_found ? Status() : version.status();
  }
  baseline::KvCounters counters() const override {
    const ClientCounters c = client_.counters();
    return {.gets = c.hits + c.misses, .hits = c.hits};
  }

  sim::SimShard& shard_;
  client::Lanes lanes_;
  client::ShardLink link_;
  client::ShardClient client_;
};

class RacedScalio final : public RacedStore {
 public:
  // Nothing kills it.
  explicit RacedScalio(sim::World& world)
      : disk_(sim::formatted_disk(world, kShape, 0)),
        shards_(only(std::make_unique<sim::SimShard>(world, kShape, 0, *disk_))),
        server_(world, kShape, shards_, [] {}) {}

  Task<Status> start(sim::SimProcess& process) override {
    server_.start();
    for (int i = 0; i < kPolls && !server_.serving(); ++i) co_await process.sleep(kPoll);
    co_return server_.serving() ? Status()
                                : Status(Code::timed_out, "Scalio's server does not start");
  }
  Task<Result<std::unique_ptr<RacedClient>>> connect(sim::SimProcess& process) override {
    co_return std::unique_ptr<RacedClient>(
        std::make_unique<ScalioRacer>(process, server_, *shards_[0]));
  }
  Task<void> stop(sim::SimProcess& process) override {
    server_.stop();
    for (int i = 0; i < kPolls && !server_.stopped(); ++i) co_await process.sleep(kPoll);
  }

 private:
  static sim::SimServer::Shards only(std::unique_ptr<sim::SimShard> shard) {
    sim::SimServer::Shards shards;
    shards.push_back(std::move(shard));
    return shards;
  }

  const std::unique_ptr<sim::Disk> disk_;
  sim::SimServer::Shards shards_;
  sim::SimServer server_;
};
}  // namespace

std::unique_ptr<RacedStore> make_raced_scalio(sim::World& world) {
  return std::make_unique<RacedScalio>(world);
}

}  // namespace scalio::race
