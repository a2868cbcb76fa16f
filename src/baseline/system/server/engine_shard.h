// EngineShard: one SSD's part of a system that has an engine, which does the work, and a service,
// which answers clients from it.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "baseline/system/server/ssd_server.h"

namespace scalio::baseline {

// A Service is made of loop, engine, number and count of SSDs; it has batches(), how many requests
// are under way. An Engine has stop().
template <class Engine, class Service>
class EngineShard : public SsdShard {
 public:
  Task<Status> open(EventLoop& loop, block::BlockDevice& device, std::uint32_t number,
                    std::uint32_t of) final {
    loop_ = &loop;
    const Result<std::size_t> size = region_size();
    if (!size.ok()) co_return size.status();
    auto region = fabric::Region::create(*size);
    if (!region.ok()) co_return region.status();
    region_ = *std::move(region);
    auto made = co_await open_engine(loop, device, region_->span());
    if (!made.ok()) co_return made.status();
    engine_ = *std::move(made);
    service_ = std::make_unique<Service>(loop, *engine_, number, of);
    co_return Status();
  }
  fabric::Region& region() final { return *region_; }
  fabric::Service& service() final { return *service_; }
  Task<Status> close() final {
    // Operations end by themselves: each waits for I/O or for others that do.
    constexpr Nanos kLook = kMillisecond;
    while (service_ && service_->batches() > 0) co_await loop_->sleep(kLook);
    if (engine_) co_await engine_->stop();
    service_.reset();
    engine_.reset();
    co_return Status();
  }
  // Once it is open.
  const Engine& engine() const { return *engine_; }

 private:
  // Bytes; or why there can be none.
  virtual Result<std::size_t> region_size() const = 0;
  // The region is zeroed, and outlives the engine.
  virtual Task<Result<std::unique_ptr<Engine>>> open_engine(EventLoop& loop,
                                                            block::BlockDevice& device,
                                                            ByteSpan region) = 0;

  EventLoop* loop_ = nullptr;
  std::unique_ptr<fabric::Region> region_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Service> service_;
};

// The sum of the counters of the engines of all Shards of a server. Not after its stop().
template <class Shard>
auto sum_counters(SsdServer& server) {
  decltype(std::declval<const Shard&>().engine().counters()) sum;
  server.visit([&](SsdShard& shard) { sum += static_cast<Shard&>(shard).engine().counters(); });
  return sum;
}

}  // namespace scalio::baseline
