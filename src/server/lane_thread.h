// LaneThread: one lane of a server: a thread with its event loop, the region, and all that is in it
// or runs on it.
//
// Whatever a lane uses is made on its thread, so that memory is near the core that the thread is
// pinned to: pages are of the NUMA node of who touches them first.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "block/uring_device.h"
#include "fabric/region.h"
#include "fabric/server/endpoint.h"
#include "server/lane.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::server {

// A shard that is not made yet.
struct ShardPlan {
  std::string path;                            // of its SSD
  std::unique_ptr<block::UringDevice> device;  // on the lane's loop; null: to be opened
  layout::SsdGeometry geometry;
  layout::RegionGeometry blocks;
  ShardOptions options;
};

class LaneThread {
 public:
  // A loop without a thread: until begin(), the caller's. `spin` is the loop's.
  static Result<std::unique_ptr<LaneThread>> create(std::uint16_t number, Nanos spin);
  ~LaneThread();  // end()

  EventLoop& loop() { return *loop_; }
  // Starts the thread, on `core` if that is given. Fails with unavailable.
  Status begin(std::optional<unsigned> core);
  // Makes the region of `bytes` and, in it, the shards.
  Status make(std::uint64_t bytes, std::vector<ShardPlan> plans,
              const std::vector<std::uint16_t>& deal);
  // Starts all shards; `cannot_start` as in ServerOptions.
  void start_shards(const std::function<void(const Status&)>& cannot_start);
  // How that ended, once it has: the first failure. Ok if that is known already.
  Status await_start();
  // Lets the shards look for damage in turn, each every Scrubber::kInterval.
  void begin_scrubbing();
  fabric::LaneEndpoint endpoint() { return {loop_.get(), region_.get(), lane_.get()}; }

  // Calls `take` on the lane's thread with the number and the figures of each shard, one in a turn
  // of the loop: what clients wait for goes on in between. Any thread.
  void tell_figures(std::function<void(std::uint32_t shard, std::string figures)> take);

  // From now on a write that takes so long is in the slow log of its shard. Any thread.
  void set_slow(Nanos threshold);

  // Stops the shards that serve, beside those of other lanes; await_stop() says how that ended.
  void stop_shards();
  Status await_stop();
  // Ends the thread, whose shards do not serve any more.
  void end();
  // Once it has ended, and no client believes what is in the region: gives its memory back, whoever
  // has it mapped.
  void give_region_back() {
    if (region_) region_->give_back();
  }

  // Writes, from the logs.
  std::uint64_t recovered() const;

 private:
  struct ServedShard {
    std::unique_ptr<block::UringDevice> device;
    std::unique_ptr<Shard> shard;
    std::uint32_t number = 0;      // of the shard
    std::future<Status> starting;  // until await_start()
    std::future<Status> stopping;  // until await_stop()
    bool serving = false;          // it has started, and was not told to stop
  };
  explicit LaneThread(std::uint16_t number, std::unique_ptr<EventLoop> loop)
      : number_(number), loop_(std::move(loop)) {}
  Status make_here(std::uint64_t bytes, std::vector<ShardPlan>& plans,
                   const std::vector<std::uint16_t>& deal);
  std::string stat();
  Task<void> tell_each(std::function<void(std::uint32_t, std::string)> take);

  const std::uint16_t number_;
  std::optional<unsigned> core_;  // that it is pinned to
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<fabric::Region> region_;
  std::vector<std::unique_ptr<ServedShard>> shards_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<Timer> scrub_;  // while it serves; used on the thread alone
  std::size_t scrubbed_ = 0;      // shards, ever
  std::thread thread_;
  Nanos began_ = 0;
  bool ended_ = false;  // the thread may end; used on it alone
};

}  // namespace scalio::server
