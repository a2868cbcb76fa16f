// Ditto over real transports: clients on threads of their own, over shared memory and TCP at once.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "baseline/ditto/ditto_cache.h"
#include "baseline/ditto/ditto_memory.h"
#include "fabric/connect.h"
#include "fabric/server/fabric_server.h"
#include "fabric/transports/transports.h"
#include "testing/loops.h"

namespace scalio::ditto {
namespace {

class DittoServer {
 public:
  explicit DittoServer(const DittoGeometry& geometry)
      : geometry_(geometry),
        loop_(make_loop()),
        region_(std::move(*fabric::Region::create(geometry.size()))),
        memory_(geometry, region_->span(), [this] { return loop_->now(); }),
        thread_([this] { loop_->run_until([this] { return stop_; }); }),
        epoch_file_(std::move(*fabric::EpochFile::open(dir_.path() + "/epoch"))) {
    auto started = fabric::FabricServer::start(
        fabric::Transports::servers, {{loop_.get(), region_.get(), &memory_}},
        *epoch_file_->advance(), *epoch_file_,
        {{"unix", dir_.path() + "/socket", "", 0}, {"tcp", "", "127.0.0.1", 0}}, {});
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    server_ = std::move(*started);
  }
  ~DittoServer() {
    server_.reset();
    loop_->run_on_loop([this] { stop_ = true; });
    thread_.join();
  }
  net::Uri uri(const std::string& scheme) const {
    for (const net::Uri& at : server_->addresses()) {
      if (at.scheme == scheme) return at;
    }
    ADD_FAILURE() << scheme << " is not served";
    return {};
  }

 private:
  TempDir dir_;
  const DittoGeometry geometry_;
  LoopPtr loop_;
  std::unique_ptr<fabric::Region> region_;
  DittoMemory memory_;
  bool stop_ = false;
  std::thread thread_;
  std::unique_ptr<fabric::EpochFile> epoch_file_;
  std::unique_ptr<fabric::FabricServer> server_;
};

// On the thread that makes it.
class RealClient {
 public:
  RealClient(const DittoServer& server, const std::string& scheme, EvictionPolicy policy,
             std::uint64_t seed)
      : loop_(make_loop()), random_(seed) {
    auto connected = scalio::run(*loop_, fabric::connect(fabric::Transports::clients, *loop_,
                                                         server.uri(scheme), 0, {}, {}));
    EXPECT_TRUE(connected.ok()) << connected.status().to_string();
    connection_ = std::move(*connected);
    auto opened = DittoCache::open(*connection_, {.policy = policy, .seed = seed});
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    cache = std::move(*opened);
  }
  ~RealClient() {
    scalio::run(*loop_, cache->drain());
    cache.reset();
  }

  template <class T>
  T run(Task<T> task) {
    return scalio::run(*loop_, std::move(task));
  }
  // Operations on few keys, many at a time.
  void hammer(int operations) {
    constexpr int kDepth = 16;
    int running = kDepth;
    for (int i = 0; i < kDepth; ++i) loop_->spawn(some(operations / kDepth, &running));
    turn_until(*loop_, [&] { return running == 0; });
  }

  std::unique_ptr<DittoCache> cache;

 private:
  Task<void> some(int operations, int* running) {
    for (; operations > 0; --operations) {
      const std::string key = "key" + std::to_string(random_.below(6000));
      Code code = Code::ok;
      if (random_.coin()) {
        const Result<std::string> value = co_await cache->get(key);
        code = value.code();
      } else {
        const std::string value(random_.below(120), 'v');
        const Status set = co_await cache->set(key, value);
        code = set.code();
      }
      EXPECT_TRUE(code == Code::ok || code == Code::not_found || code == Code::busy);
    }
    --*running;
  }

  LoopPtr loop_;
  std::unique_ptr<fabric::Connection> connection_;
  Random random_;
};

TEST(DittoTransport, WhatOneClientCachesOverSharedMemoryAnotherReadsOverTcp) {
  const DittoServer server({.buckets = 1024, .segments = 1});
  RealClient local(server, "unix", EvictionPolicy::lru, 1);
  RealClient remote(server, "tcp", EvictionPolicy::lru, 2);
  for (int i = 0; i < 500; ++i) {
    const std::string n = std::to_string(i);
    ASSERT_TRUE(local.run(local.cache->set("key" + n, "value" + n)).ok());
  }
  for (int i = 0; i < 500; ++i) {
    const std::string n = std::to_string(i);
    const Result<std::string> value = remote.run(remote.cache->get("key" + n));
    ASSERT_TRUE(value.ok()) << value.status().to_string();
    EXPECT_EQ(*value, "value" + n);
  }
  EXPECT_EQ(remote.cache->counters().hits, 500U);
}

TEST(DittoTransport, ClientsOnThreadsOfTheirOwnEvictFromEachOther) {
  for (const EvictionPolicy policy : {EvictionPolicy::lru, EvictionPolicy::adaptive}) {
    const DittoServer server({.buckets = 1024, .segments = 1});
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> hits{0}, evictions{0};
    for (std::uint64_t i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        RealClient client(server, i == 0 ? "tcp" : "unix", policy, i + 1);
        client.hammer(i == 0 ? 4000 : 40'000);
        hits += client.cache->counters().hits;
        evictions += client.cache->counters().evictions;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(hits, 1000U);
    EXPECT_GT(evictions, 1000U);
  }
}

}  // namespace
}  // namespace scalio::ditto
