#include "baseline/system/server/ssd_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "block/count.h"
#include "block/uring_device.h"
#include "fabric/epoch.h"
#include "task/io_thread.h"
#include "task/run_to_end.h"

namespace scalio::baseline {

namespace {
constexpr std::uint32_t kMostSsds = 1024;

struct OpenedShard {
  EventLoop* loop = nullptr;
  std::unique_ptr<block::BlockDevice> device;
  std::unique_ptr<SsdShard> shard;

  Task<Status> open(SsdOpener opener, std::uint32_t number, std::uint32_t of) {
    auto opened = co_await opener(*loop);
    if (!opened.ok()) co_return opened.status();
    device = *std::move(opened);
    co_return co_await shard->open(*loop, *device, number, of);
  }
  Task<Status> close() {
    Status s = co_await shard->close();
    shard.reset();
    device.reset();
    co_return s;
  }
};
}  // namespace

struct SsdServer::Impl {
  std::vector<std::unique_ptr<IoThread>> threads;
  std::vector<std::unique_ptr<OpenedShard>> shards;
  std::unique_ptr<fabric::EpochFile> epoch;
  std::unique_ptr<fabric::FabricServer> fabric;

  Status open(const SsdServerOptions& o, const std::function<std::unique_ptr<SsdShard>()>& make) {
    const auto count = static_cast<std::uint32_t>(o.ssds.size());
    if (count == 0 || count > kMostSsds || o.threads == 0) {
      return Status(Code::invalid,
                    fmt::format("a server has 1 to {} SSDs, and threads", kMostSsds));
    }
    for (std::uint32_t i = 0; i < std::min(o.threads, count); ++i) {
      auto thread = IoThread::start(fmt::format("{}-{}", o.name, i).c_str());
      if (!thread.ok()) return thread.status();
      threads.push_back(*std::move(thread));
    }
    std::vector<std::future<Status>> opening;
    for (std::uint32_t i = 0; i < count; ++i) {
      shards.push_back(std::make_unique<OpenedShard>());
      OpenedShard& shard = *shards.back();
      shard.shard = make();
      shard.loop = &threads[i % threads.size()]->loop();
      opening.push_back(begin_on_loop(*shard.loop, [&shard, opener = o.ssds[i], i, count] {
        return shard.open(opener, i, count);
      }));
    }
    return wait_for_all(opening);
  }
  // The first failure.
  static Status wait_for_all(std::vector<std::future<Status>>& all) {
    Status first;
    for (std::future<Status>& one : all) {
      Status s = one.get();
      if (first.ok()) first = std::move(s);
    }
    return first;
  }

  Status listen(std::span<const fabric::ServerTransport> table, const SsdServerOptions& o) {
    auto opened = fabric::EpochFile::open(o.epoch_file);
    if (!opened.ok()) return opened.status();
    epoch = *std::move(opened);
    const Result<std::uint64_t> now = epoch->advance();
    if (!now.ok()) return now.status();
    std::vector<fabric::LaneEndpoint> endpoints = o.first_shards;
    for (auto& s : shards) {
      endpoints.push_back({s->loop, &s->shard->region(), &s->shard->service()});
    }
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
    for (auto& shard : shards) {
      closing.push_back(begin_on_loop(*shard->loop, [s = shard.get()] { return s->close(); }));
    }
    (void)wait_for_all(closing);  // nobody is left who could do anything about it
    fabric.reset();
    shards.clear();
    for (auto& thread : threads) thread->stop();
  }
  ~Impl() { stop(); }
};

SsdServer::SsdServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SsdServer::~SsdServer() = default;

Result<std::unique_ptr<SsdServer>> SsdServer::start(
    std::span<const fabric::ServerTransport> table, SsdServerOptions options,
    const std::function<std::unique_ptr<SsdShard>()>& make) {
  auto impl = std::make_unique<Impl>();
  Status s = impl->open(options, make);
  if (s.ok()) s = impl->listen(table, options);
  if (!s.ok()) return s;
  return std::unique_ptr<SsdServer>(new SsdServer(std::move(impl)));
}

void SsdServer::stop() { impl_->stop(); }

std::vector<net::Uri> SsdServer::addresses() const { return impl_->fabric->addresses(); }

void SsdServer::visit(const std::function<void(SsdShard&)>& what) {
  for (auto& shard : impl_->shards) run_and_wait(*shard->loop, [&] { what(*shard->shard); });
}

block::Counters SsdServer::device_counters() {
  block::Counters sum;
  for (auto& shard : impl_->shards) {
    run_and_wait(*shard->loop, [&] { sum += shard->device->counters(); });
  }
  return sum;
}

Nanos SsdServer::cpu_time() const {
  Nanos sum = 0;
  for (const auto& thread : impl_->threads) sum += thread->cpu_time();
  return sum;
}

Nanos SsdServer::nic_cpu_time() const { return impl_->fabric ? impl_->fabric->nic_cpu_time() : 0; }

Status run_on_file(const std::string& path,
                   const std::function<Task<Status>(block::BlockDevice&)>& what) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  auto device = block::UringDevice::open(**loop, path, block::Access::exclusive);
  if (!device.ok()) return device.status();
  return run_to_end(**loop, what(**device));
}

SsdOpener open_file(std::string path) {
  return [path](EventLoop& loop) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
    auto opened = block::UringDevice::open(loop, path, block::Access::exclusive);
    if (!opened.ok()) co_return opened.status();
    co_return std::unique_ptr<block::BlockDevice>(*std::move(opened));
  };
}

}  // namespace scalio::baseline
