#include "sim/sim_server.h"

#include <algorithm>

#include "base/hash.h"

namespace scalio::sim {

namespace {
constexpr std::uint64_t kKillPerMillion = 60;
constexpr std::uint64_t kPreemptPerMillion = 30'000;
constexpr std::uint64_t kCutPerMillion = 60;
constexpr Nanos kLargestWallOffset = 2 * kSecond;
constexpr Nanos kLongestDown = 300 * kMillisecond;
}  // namespace

SimServer::SimServer(World& world, const StoreShape& shape, Shards& shards,
                     std::function<void()> cut_power)
    : world_(world),
      shape_(shape),
      releases_(shape.releases_seed),
      shards_(shards),
      cut_power_(std::move(cut_power)) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    endpoints_.push_back(std::make_unique<Endpoint>(
        Endpoint{world, shape.shared_memory, 0, nullptr, {}, shape.reads_parts}));
  }
}

void SimServer::start() {
  if (!lives_.empty() && lives_.back()->alive) return;
  for (auto& shard : shards_) shard->before_start();
  ++starts_;
  stopped_ = false;
  if (world_.enabled(Fault::clock_drift)) wall_offset_ = world_.random().below(kLargestWallOffset);
  // Rule 9: before anything is accepted.
  for (auto& endpoint : endpoints_) ++endpoint->epoch;
  lives_.push_back(std::make_unique<Incarnation>());
  Incarnation& life = *lives_.back();
  const auto count = static_cast<std::uint32_t>(shards_.size());
  recoveries_ = std::make_shared<server::Recoveries>(count, shape_.recovery_memory);
  const auto lanes = static_cast<std::uint32_t>(world_.random().between(1, count));
  const std::vector<std::uint16_t> deal = server::deal_shards(count, lanes);
  for (std::uint16_t i = 0; i < lanes; ++i) life.lanes.push_back(make_lane(i, deal));
  life.older = releases_.chance(shape_.older_starts);
  older_starts_ += life.older ? 1 : 0;
  world_.note("server {}{} starts with {} lanes", starts_, life.older ? " of an older release" : "",
              lanes);
  life.working = shards_.size();
  for (auto& lane : life.lanes) {
    for (auto& shard : lane->shards) lane->process->spawn(begin(life, *lane, *shard));
  }
}

std::unique_ptr<SimServer::SimLane> SimServer::make_lane(std::uint16_t number,
                                                         const std::vector<std::uint16_t>& deal) {
  auto lane = std::make_unique<SimLane>();
  lane->process = std::make_unique<SimProcess>(world_, fmt::format("server-{}.{}", number, starts_),
                                               Fault::freeze_server, [this] { consider_fate(); });
  std::vector<SimShard*> here;
  for (std::size_t i = 0; i < deal.size(); ++i) {
    if (deal[i] == number) here.push_back(shards_[i].get());
  }
  const std::uint64_t each = round_up(here[0]->blocks().size(), layout::RegionGeometry::kLine);
  lane->memory.resize(here.size() * each / sizeof lane->memory[0]);
  std::vector<server::Shard*> services;
  for (std::size_t i = 0; i < here.size(); ++i) {
    make_shard(*lane, *here[i], i * each);
    services.push_back(lane->shards.back()->service.get());
  }
  lane->service = std::make_unique<server::Lane>(number, deal, std::move(services));
  return lane;
}

void SimServer::make_shard(SimLane& lane, SimShard& shard, std::uint64_t base) {
  auto served = std::make_unique<ServedShard>();
  served->shard = &shard;
  served->blocks = shard.blocks();
  served->blocks.base = base;
  served->device = std::make_unique<SimDevice>(*lane.process, shard.disk());
  server::ShardOptions options;
  options.log = {shape_.batch_max, shape_.batch_linger, shard.log_key(),
                 [this] { return world_.now() + wall_offset_; }};
  options.fill_timeout = shape_.fill_timeout;
  options.new_number = [last = world_.random().next()]() mutable { return mix(++last); };
  options.region_base = base;
  options.recoveries = recoveries_;
  options.merges = shape_.merges;
  options.between_stores = [this, l = &lane, of = &shard] {
    if (!l->host) return;
    world_.note("{} stores; {}", l->process->name(), of->describe(0));
    interleave(world_, *l->host);
    if (world_.strikes(Fault::preempt_server, kPreemptPerMillion)) l->process->preempt();
  };
  served->service = std::make_unique<server::Shard>(
      *lane.process, *served->device, shard.ssd(), shard.blocks(),
      lane.region().subspan(base, shard.blocks().size()), std::move(options));
  lane.shards.push_back(std::move(served));
}

Task<void> SimServer::begin(Incarnation& life, SimLane& lane, ServedShard& shard) {
  const Status s = co_await shard.service->start();
  if (!s.ok()) {
    // As after any failed start: somebody tries again.
    world_.note("{} does not start: {}", lane.process->name(), s.to_string());
    kill(false);
    co_return;
  }
  if (--life.working == 0) serve(life);
}

void SimServer::serve(Incarnation& life) {
  for (std::size_t i = 0; i < life.lanes.size(); ++i) {
    SimLane& lane = *life.lanes[i];
    std::vector<Host::Part> parts;
    for (auto& shard : lane.shards) parts.push_back({shard->shard->ssd().shard, shard->blocks});
    fabric::Service* service = lane.service.get();
    if (life.older) service = &lane.older.emplace(*lane.service);
    lane.host = std::make_shared<Host>(*lane.process, *service, std::move(parts), lane.region(),
                                       endpoints_[i]->epoch);
    endpoints_[i]->host = lane.host;
    for (auto& shard : lane.shards) shard->shard->served_at(lane.host);
    scrub_later(lane);
  }
  serving_ = true;
  world_.note("server {} serves", starts_);
}

void SimServer::scrub_later(SimLane& lane) {
  lane.process->deliver(shape_.scrub_interval, [this, &lane] {
    for (auto& shard : lane.shards) shard->service->scrub();
    scrub_later(lane);
  });
}

Task<Result<std::unique_ptr<fabric::Connection>>> SimServer::connect(std::uint32_t lane,
                                                                     SimProcess& client,
                                                                     Bytes hello) {
  if (lane >= endpoints_.size() || (serving_ && lane >= lanes())) {
    co_return Status(Code::invalid, fmt::format("there is no lane {}", lane));
  }
  co_return co_await SimChannel::connect(*endpoints_[lane], client, std::move(hello));
}

std::uint64_t SimServer::told_time(std::uint32_t shard) {
  if (!serving_) return 0;
  for (const auto& lane : lives_.back()->lanes) {
    for (const auto& served : lane->shards) {
      if (served->shard->ssd().shard == shard) return served->service->store_time();
    }
  }
  return 0;
}

std::uint64_t SimServer::store_time(std::uint32_t shard) {
  std::uint64_t& last = store_times_[shard];
  last = std::max(last, told_time(shard));
  return last;
}

std::uint64_t SimServer::roomless() const {
  std::uint64_t sum = 0;
  for (const auto& lane : lives_.back()->lanes) {
    for (const auto& shard : lane->shards) sum += shard->service->merges().roomless;
  }
  return sum;
}

std::uint64_t SimServer::moved() const {
  std::uint64_t sum = 0;
  for (const auto& lane : lives_.back()->lanes) {
    for (const auto& shard : lane->shards) sum += shard->service->values().bytes_moved;
  }
  return sum;
}

std::uint64_t SimServer::damages(Host::Block block) const {
  std::uint64_t sum = 0;
  for (const auto& endpoint : endpoints_) {
    const auto found = endpoint->damages.find(block);
    if (found != endpoint->damages.end()) sum += found->second;
  }
  return sum;
}

void SimServer::end_service() {
  serving_ = false;
  for (auto& endpoint : endpoints_) endpoint->host = nullptr;
  for (auto& shard : shards_) shard->not_served();
}

void SimServer::kill(bool power_cut) {
  Incarnation& life = *lives_.back();
  if (!life.alive) return;
  life.alive = false;
  world_.note("server {} is killed{}", starts_, power_cut ? " by a power cut" : "");
  for (auto& lane : life.lanes) {
    lane->process->kill();
    for (auto& shard : lane->shards) shard->device->abandon();
  }
  if (power_cut) {
    for (auto& shard : shards_) shard->disk().cut_power();
  }
  for (auto& endpoint : endpoints_) {
    if (!endpoint->host) continue;
    for (const auto& channel : endpoint->host->channels) channel->server_died();
  }
  end_service();
  world_.after(world_.random().below(kLongestDown), [this] { start(); });
}

void SimServer::consider_fate() {
  if (world_.strikes(Fault::kill_server, kKillPerMillion)) {
    kill(false);
  } else if (world_.strikes(Fault::power_cut, kCutPerMillion)) {
    cut_power_();
  }
}

void SimServer::stop() {
  Incarnation& life = *lives_.back();
  end_service();
  life.working = shards_.size();
  for (auto& lane : life.lanes) {
    for (auto& shard : lane->shards) lane->process->spawn(end(life, *lane, *shard));
  }
}

Task<void> SimServer::end(Incarnation& life, SimLane& lane, ServedShard& shard) {
  const Status s = co_await shard.service->stop();
  world_.note("{} has stopped shard {}: {}", lane.process->name(), shard.shard->ssd().shard,
              s.to_string());
  co_await lane.process->yield();  // the log ends too
  if (--life.working > 0) co_return;
  stopped_ = true;
  life.alive = false;
  for (auto& each : life.lanes) each->process->kill();
}

}  // namespace scalio::sim
