#include "baseline/paper/server/paper_server.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/random.h"
#include "baseline/paper/paper_client.h"
#include "block/uring_device.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "task/wait_group.h"
#include "testing/loopback_transport.h"
#include "testing/loops.h"

namespace scalio::paper {
namespace {

template <class... Row>
fabric::TransportTable<Row..., fabric::LoopbackTransport> with_loop(fabric::TransportTable<Row...>);
using Table = decltype(with_loop(fabric::Transports()));

// A server of three SSDs on two threads, reached by a transport; clients read the files.
class PaperServed : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr int kSsds = 3;

  void SetUp() override {
    for (int i = 0; i < kSsds; ++i) {
      std::ofstream(path(i)).flush();
      std::filesystem::resize_file(path(i), 8 << 20);
      const Status s = format_file(path(i), 2000, 64, 5);
      if (s.code() == Code::invalid) GTEST_SKIP() << s.to_string();
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
    start();
  }
  void TearDown() override {
    for (auto& client : clients_) run(*loop_, client->close());
    clients_.clear();
    loop_->turn(false);
  }
  PaperServerOptions options() const {
    PaperServerOptions o;
    for (int i = 0; i < kSsds; ++i) o.server.ssds.push_back(baseline::open_file(path(i)));
    o.server.threads = 2;
    o.server.epoch_file = dir_.path() + "/epoch";
    const bool path = GetParam() != "tcp";
    o.server.listen = {
        {GetParam(), path ? dir_.path() + "/socket" : "", path ? "" : "127.0.0.1", 0}};
    o.shape = shape_for(64 << 10, kSsds, 80);
    return o;
  }
  void start() {
    auto started = PaperServer::start(Table::servers, options());
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    server_ = *std::move(started);
  }
  std::string path(int ssd) const { return dir_.path() + "/ssd-" + std::to_string(ssd); }
  PaperClient& connect() {
    const net::Uri uri = server_->addresses().front();
    const auto connector = [this, uri](std::uint32_t ssd, Bytes hello) {
      return fabric::connect(Table::clients, *loop_, uri, ssd, std::move(hello), {});
    };
    const auto opener =
        [this](std::uint32_t ssd) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
      auto opened =
          block::UringDevice::open(*loop_, path(static_cast<int>(ssd)), block::Access::read_only);
      if (!opened.ok()) co_return opened.status();
      co_return std::unique_ptr<block::BlockDevice>(*std::move(opened));
    };
    PaperClientOptions with;
    with.seed = clients_.size() + 1;
    auto made = run(*loop_, PaperClient::connect(*loop_, connector, opener, with));
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    clients_.push_back(*std::move(made));
    return *clients_.back();
  }

  TempDir dir_;
  LoopPtr loop_ = make_loop();
  std::unique_ptr<PaperServer> server_;
  std::vector<std::unique_ptr<PaperClient>> clients_;
};

INSTANTIATE_TEST_SUITE_P(, PaperServed, ::testing::Values("unix", "tcp", "loop"),
                         [](const auto& p) { return p.param; });

Task<void> use(PaperClient& client, int worker, int operations) {
  std::map<std::string, std::string> model;
  Random random(worker + 1);
  for (int i = 0; i < operations; ++i) {
    const std::string key = std::to_string(worker) + "/" + std::to_string(random.below(30));
    const std::uint64_t what = random.below(6);
    if (what < 2) {
      const std::string value(random.below(100), static_cast<char>('a' + i % 26));
      const Status s = co_await client.put(key, value);
      EXPECT_TRUE(s.ok()) << s.to_string();
      model[key] = value;
    } else if (what == 2) {
      const Status s = co_await client.remove(key);
      EXPECT_TRUE(s.ok()) << s.to_string();
      model.erase(key);
    } else {
      Result<std::string> got = co_await client.get(key);
      const auto expected = model.find(key);
      if (expected == model.end()) {
        EXPECT_EQ(got.code(), Code::not_found);
      } else {
        EXPECT_TRUE(got.ok() && *got == expected->second) << got.status().to_string();
      }
    }
  }
}

// Many workers, with two clients between them.
Task<void> use_at_once(EventLoop& loop, PaperClient& one, PaperClient& other, int workers) {
  WaitGroup group(loop);
  for (int w = 0; w < workers; ++w) group.spawn(use(w % 2 == 0 ? one : other, w, 100));
  co_await group.wait();
}

TEST_P(PaperServed, ManyOperationsAtOnceAreServed) {
  PaperClient& one = connect();
  PaperClient& other = connect();
  run(*loop_, use_at_once(*loop_, one, other, 100));
  baseline::KvCounters c = one.counters();
  c += other.counters();
  const PaperCounters served = server_->counters();
  EXPECT_EQ(c.gets + served.sets + served.removes, 10'000u);
  EXPECT_GT(c.hits, 0u);
  EXPECT_GT(c.ssd_reads, 0u);
  EXPECT_LT(served.batches, served.sets + served.removes);
  EXPECT_GT(one.paper_counters().fills, 0u);
  EXPECT_GE(server_->device_counters().writes, served.batches);
  EXPECT_GT(server_->cpu_time(), 0u);
}

TEST_P(PaperServed, WhatWasAcknowledgedSurvivesTheServer) {
  PaperClient* client = &connect();
  for (int i = 0; i < 50; ++i) {
    const std::string key = "key" + std::to_string(i);
    EXPECT_TRUE(run(*loop_, client->put(key, key)).ok());
  }
  server_->stop();
  EXPECT_EQ(run(*loop_, client->put("key1", "other")).code(), Code::unavailable);
  TearDown();
  start();
  client = &connect();
  for (int i = 0; i < 50; ++i) {
    const std::string key = "key" + std::to_string(i);
    Result<std::string> got = run(*loop_, client->get(key));
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(*got, key);
  }
}

TEST_P(PaperServed, WhatCannotBeServedIsRefused) {
  server_->stop();
  PaperServerOptions o = options();
  o.server.ssds.clear();
  EXPECT_EQ(PaperServer::start(Table::servers, o).code(), Code::invalid);
  o = options();
  o.server.ssds.back() = baseline::open_file(path(kSsds));
  EXPECT_FALSE(PaperServer::start(Table::servers, o).ok());
  o = options();
  o.shape.slots = 0;
  EXPECT_EQ(PaperServer::start(Table::servers, o).code(), Code::invalid);
  o = options();
  o.server.listen = {{net::kRdma, "", "127.0.0.1", 0}};
  EXPECT_EQ(PaperServer::start(Table::servers, o).code(), Code::invalid);
  start();
}

}  // namespace
}  // namespace scalio::paper
