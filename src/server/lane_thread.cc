#include "server/lane_thread.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/cpu_cores.h"
#include "base/json.h"
#include "task/io_thread.h"
#include "task/thread.h"

namespace scalio::server {

namespace {
Task<Status> start_shard(Shard& shard, std::function<void(const Status&)> cannot_start) {
  Status s = co_await shard.start();
  if (!s.ok() && cannot_start) cannot_start(s);
  co_return s;
}
}  // namespace

Result<std::unique_ptr<LaneThread>> LaneThread::create(std::uint16_t number, Nanos spin) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create(spin);
  if (!loop.ok()) return loop.status();
  // It is so of all lanes.
  if (number == 0 && !(*loop)->io_uring_missing().empty())
    spdlog::warn("{}", (*loop)->io_uring_missing());
  return std::unique_ptr<LaneThread>(new LaneThread(number, std::move(*loop)));
}

LaneThread::~LaneThread() { end(); }

Status LaneThread::begin(std::optional<unsigned> core) {
  core_ = core;
  began_ = loop_->now();
  Result<std::thread> started = start_thread(fmt::format("lane-{}", number_).c_str(), [this] {
    loop_->run_until([this] { return ended_ && loop_->spawned() == 0; });
  });
  if (!started.ok()) return started.status();
  thread_ = std::move(*started);
  Status pinned;
  if (core) run_and_wait(*loop_, [&] { pinned = pin_to(*core); });
  return pinned;
}

Status LaneThread::make(std::uint64_t bytes, std::vector<ShardPlan> plans,
                        const std::vector<std::uint16_t>& deal) {
  Status made;
  run_and_wait(*loop_, [&] { made = make_here(bytes, plans, deal); });
  return made;
}

Status LaneThread::make_here(std::uint64_t bytes, std::vector<ShardPlan>& plans,
                             const std::vector<std::uint16_t>& deal) {
  auto memory = fabric::Region::create(bytes);
  if (!memory.ok()) return memory.status();
  region_ = std::move(*memory);
  std::vector<Shard*> shards;
  for (ShardPlan& plan : plans) {
    auto served = std::make_unique<ServedShard>();
    served->number = plan.geometry.shard;
    served->device = std::move(plan.device);
    if (!served->device) {
      auto device = block::UringDevice::open(*loop_, plan.path, block::Access::read_write);
      if (!device.ok()) return device.status();
      served->device = std::move(*device);
    }
    plan.options.lane_stat = [this] { return stat(); };
    const ByteSpan blocks = region_->span().subspan(plan.options.region_base, plan.blocks.size());
    served->shard = std::make_unique<Shard>(*loop_, *served->device, plan.geometry, plan.blocks,
                                            blocks, std::move(plan.options));
    shards.push_back(served->shard.get());
    shards_.push_back(std::move(served));
  }
  lane_ = std::make_unique<Lane>(number_, deal, std::move(shards));
  return Status();
}

void LaneThread::start_shards(const std::function<void(const Status&)>& cannot_start) {
  for (auto& s : shards_) {
    s->starting = begin_on_loop(*loop_, [shard = s->shard.get(), cannot_start] {
      return start_shard(*shard, cannot_start);
    });
  }
}

Status LaneThread::await_start() {
  Status first;
  for (auto& s : shards_) {
    if (!s->starting.valid()) continue;
    Status started = s->starting.get();
    s->serving = started.ok();
    if (first.ok()) first = std::move(started);
  }
  return first;
}

void LaneThread::begin_scrubbing() {
  loop_->run_on_loop([this] {
    const Nanos each = Scrubber::kInterval / shards_.size();
    scrub_ = std::make_unique<Timer>(*loop_, [this, each] {
      shards_[scrubbed_++ % shards_.size()]->shard->scrub();
      scrub_->arm(loop_->now() + each);
    });
    scrub_->arm(loop_->now() + each);
  });
}

Task<void> LaneThread::tell_each(std::function<void(std::uint32_t, std::string)> take) {
  for (const auto& s : shards_) {
    take(s->number, s->shard->figures());
    co_await loop_->yield();
  }
}

void LaneThread::tell_figures(std::function<void(std::uint32_t, std::string)> take) {
  loop_->run_on_loop(
      [this, take = std::move(take)]() mutable { loop_->spawn(tell_each(std::move(take))); });
}

void LaneThread::set_slow(Nanos threshold) {
  loop_->run_on_loop([this, threshold] {
    for (const auto& s : shards_) s->shard->set_slow(threshold);
  });
}

void LaneThread::stop_shards() {
  if (thread_.joinable()) loop_->run_on_loop([this] { scrub_.reset(); });
  for (auto& s : shards_) {
    if (!std::exchange(s->serving, false)) continue;
    s->stopping = begin_on_loop(*loop_, [shard = s->shard.get()] { return shard->stop(); });
  }
}

Status LaneThread::await_stop() {
  Status first;
  for (auto& s : shards_) {
    if (!s->stopping.valid()) continue;
    Status stopped = s->stopping.get();
    if (first.ok()) first = std::move(stopped);
  }
  return first;
}

void LaneThread::end() {
  if (!thread_.joinable()) return;
  loop_->run_on_loop([this] { ended_ = true; });
  thread_.join();
}

std::uint64_t LaneThread::recovered() const {
  std::uint64_t records = 0;
  for (const auto& s : shards_) records += s->shard->recovery().records_applied;
  return records;
}

// How busy it is is the thread's time on a core, of all the time since it began.
std::string LaneThread::stat() {
  const Nanos cpu = cpu_time_of(thread_), wall = std::max<Nanos>(loop_->now() - began_, 1);
  return json_text(nlohmann::json{{"lane", number_},
                                  {"core", core_ ? nlohmann::json(*core_) : nlohmann::json()},
                                  {"clients", lane_->clients()},
                                  {"cpu_us", cpu / kMicrosecond},
                                  {"wall_us", wall / kMicrosecond},
                                  {"spins", loop_->spin().spins()},
                                  {"spins_paid", loop_->spin().spins_paid()},
                                  {"spin_us", loop_->spin().spun() / kMicrosecond},
                                  {"busy", static_cast<double>(cpu) / static_cast<double>(wall)}});
}

}  // namespace scalio::server
