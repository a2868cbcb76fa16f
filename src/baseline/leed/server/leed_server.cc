#include "baseline/leed/server/leed_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "baseline/leed/leed_service.h"
#include "block/count.h"
#include "block/uring_device.h"
#include "fabric/epoch.h"
#include "fabric/region.h"
#include "task/io_thread.h"
#include "task/run_to_end.h"

namespace scalio::leed {

namespace {
// Clients have no one-sided operations, but every shard has a region.
constexpr std::size_t kRegion = 4096;

// One SSD, on one of the threads.
struct ServedSsd {
  EventLoop* loop = nullptr;
  std::unique_ptr<fabric::Region> region;
  std::unique_ptr<block::BlockDevice> device;
  std::unique_ptr<LeedEngine> engine;
  std::unique_ptr<LeedService> service;

  Task<Status> open(LeedServerOptions::Opener opener, std::optional<LeedOptions> options,
                    std::uint32_t number, std::uint32_t of) {
    auto opened = co_await opener(*loop);
    if (!opened.ok()) co_return opened.status();
    device = *std::move(opened);
    auto made = co_await LeedEngine::open(*loop, *device, options);
    if (!made.ok()) co_return made.status();
    engine = *std::move(made);
    service = std::make_unique<LeedService>(*loop, *engine, number, of);
    co_return Status();
  }
  // Nobody is connected any more.
  Task<Status> close() {
    // Operations end by themselves: each waits for I/O or for others that do.
    constexpr Nanos kLook = kMillisecond;
    while (service && service->batches() > 0) co_await loop->sleep(kLook);
    if (engine) co_await engine->stop();
    service.reset();
    engine.reset();
    device.reset();
    co_return Status();
  }
};
}  // namespace

struct LeedServer::Impl {
  std::vector<std::unique_ptr<IoThread>> threads;
  std::vector<std::unique_ptr<ServedSsd>> ssds;
  std::unique_ptr<fabric::EpochFile> epoch;
  std::unique_ptr<fabric::FabricServer> fabric;

  Status open(const LeedServerOptions& o) {
    const auto count = static_cast<std::uint32_t>(o.ssds.size());
    if (count == 0 || count > kMaxSsds || o.threads == 0) {
      return Status(Code::invalid,
                    fmt::format("a LEED server has 1 to {} SSDs, and threads", kMaxSsds));
    }
    for (std::uint32_t i = 0; i < std::min(o.threads, count); ++i) {
      Result<std::unique_ptr<IoThread>> thread = IoThread::start(fmt::format("leed-{}", i).c_str());
      if (!thread.ok()) return thread.status();
      threads.push_back(*std::move(thread));
    }
    std::vector<std::future<Status>> opening;
    for (std::uint32_t i = 0; i < count; ++i) {
      auto region = fabric::Region::create(kRegion);
      if (!region.ok()) return wait_for_all(opening, region.status());
      ssds.push_back(std::make_unique<ServedSsd>());
      ServedSsd& ssd = *ssds.back();
      ssd.region = *std::move(region);
      ssd.loop = &threads[i % threads.size()]->loop();
      opening.push_back(
          begin_on_loop(*ssd.loop, [&ssd, opener = o.ssds[i], options = o.engine, i, count] {
            return ssd.open(opener, options, i, count);
          }));
    }
    return wait_for_all(opening, Status());
  }
  static Status wait_for_all(std::vector<std::future<Status>>& all, Status first) {
    for (std::future<Status>& one : all) {
      Status s = one.get();
      if (first.ok()) first = std::move(s);
    }
    return first;
  }

  Status listen(std::span<const fabric::ServerTransport> table, const LeedServerOptions& o) {
    auto opened = fabric::EpochFile::open(o.epoch_file);
    if (!opened.ok()) return opened.status();
    epoch = *std::move(opened);
    const Result<std::uint64_t> now = epoch->advance();
    if (!now.ok()) return now.status();
    std::vector<fabric::ShardEndpoint> endpoints;
    for (auto& ssd : ssds) {
      endpoints.push_back({ssd->loop, ssd->region.get(), ssd->service.get()});
    }
    endpoints.insert(endpoints.end(), o.further_shards.begin(), o.further_shards.end());
    auto started =
        fabric::FabricServer::start(table, std::move(endpoints), *now, *epoch, o.listen, o.limits);
    if (!started.ok()) return started.status();
    fabric = *std::move(started);
    return Status();
  }

  void stop() {
    if (fabric) fabric->stop();
    if (epoch) epoch->retire();
    std::vector<std::future<Status>> closing;
    for (auto& ssd : ssds) {
      closing.push_back(begin_on_loop(*ssd->loop, [s = ssd.get()] { return s->close(); }));
    }
    (void)wait_for_all(closing, Status());  // closing has no failures
    fabric.reset();
    ssds.clear();
    for (auto& thread : threads) thread->stop();
  }
  ~Impl() { stop(); }
};

LeedServer::LeedServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LeedServer::~LeedServer() = default;

Result<std::unique_ptr<LeedServer>> LeedServer::start(
    std::span<const fabric::ServerTransport> table, LeedServerOptions options) {
  auto impl = std::make_unique<Impl>();
  Status s = impl->open(options);
  if (s.ok()) s = impl->listen(table, options);
  if (!s.ok()) return s;
  return std::unique_ptr<LeedServer>(new LeedServer(std::move(impl)));
}

void LeedServer::stop() { impl_->stop(); }

std::vector<net::Uri> LeedServer::addresses() const { return impl_->fabric->addresses(); }

LeedCounters LeedServer::counters() {
  LeedCounters sum;
  for (auto& ssd : impl_->ssds) {
    run_and_wait(*ssd->loop, [&] {
      const LeedCounters c = ssd->engine->counters();
      sum.gets += c.gets;
      sum.sets += c.sets;
      sum.removes += c.removes;
      sum.moved += c.moved;
      sum.handed_on += c.handed_on;
      sum.bucket_chunks += c.bucket_chunks;
      sum.value_chunks += c.value_chunks;
      sum.waiting += c.waiting;
    });
  }
  return sum;
}

block::Counters LeedServer::device_counters() {
  block::Counters sum;
  for (auto& ssd : impl_->ssds) {
    run_and_wait(*ssd->loop, [&] { sum += ssd->device->counters(); });
  }
  return sum;
}

Nanos LeedServer::cpu_time() const {
  Nanos sum = 0;
  for (const auto& thread : impl_->threads) sum += thread->cpu_time();
  return sum;
}

Nanos LeedServer::nic_cpu_time() const {
  return impl_->fabric ? impl_->fabric->nic_cpu_time() : 0;
}

LeedServerOptions::Opener open_file(std::string path) {
  return [path](EventLoop& loop) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
    auto opened = block::UringDevice::open(loop, path, block::Access::exclusive);
    if (!opened.ok()) co_return opened.status();
    co_return std::unique_ptr<block::BlockDevice>(*std::move(opened));
  };
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
