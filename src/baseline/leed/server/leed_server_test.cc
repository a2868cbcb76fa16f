#include "baseline/leed/server/leed_server.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/random.h"
#include "baseline/leed/leed_client.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "task/wait_group.h"
#include "testing/loopback_transport.h"
#include "testing/loops.h"

namespace scalio::leed {
namespace {

template <class... Row>
fabric::TransportTable<Row..., fabric::LoopbackTransport> with_loop(fabric::TransportTable<Row...>);
using Table = decltype(with_loop(fabric::Transports()));

// A server of three SSDs on two threads, reached by a transport.
class LeedServed : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr int kSsds = 3;

  void SetUp() override {
    for (int i = 0; i < kSsds; ++i) {
      std::ofstream(path(i)).flush();
      std::filesystem::resize_file(path(i), 8 << 20);
      const Status s = format_file(path(i), 2000, 5);
      if (s.code() == Code::invalid) GTEST_SKIP() << s.to_string();
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
    start();
  }
  void start() {
    LeedServerOptions options;
    for (int i = 0; i < kSsds; ++i) options.server.ssds.push_back(baseline::open_file(path(i)));
    options.server.threads = 2;
    options.server.epoch_file = dir_.path() + "/epoch";
    const bool path = GetParam() != "tcp";
    options.server.listen = {
        {GetParam(), path ? dir_.path() + "/socket" : "", path ? "" : "127.0.0.1", 0}};
    auto started = LeedServer::start(Table::servers, std::move(options));
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    server_ = *std::move(started);
  }
  std::string path(int ssd) const { return dir_.path() + "/ssd-" + std::to_string(ssd); }
  std::unique_ptr<LeedClient> connect(std::uint32_t batch_max = 8) {
    const net::Uri uri = server_->addresses().front();
    const auto connector = [this, uri](std::uint32_t ssd, Bytes hello) {
      return fabric::connect(Table::clients, *loop_, uri, ssd, std::move(hello), {});
    };
    auto made = run(*loop_, LeedClient::connect(*loop_, connector, {batch_max}));
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *std::move(made) : nullptr;
  }

  TempDir dir_;
  LoopPtr loop_ = make_loop();
  std::unique_ptr<LeedServer> server_;
};

INSTANTIATE_TEST_SUITE_P(, LeedServed, ::testing::Values("unix", "tcp", "loop"),
                         [](const auto& p) { return p.param; });

Task<void> use(LeedClient& client, int worker, int operations) {
  std::map<std::string, std::string> model;
  Random random(worker + 1);
  for (int i = 0; i < operations; ++i) {
    const std::string key = std::to_string(worker) + "/" + std::to_string(random.below(30));
    const std::uint64_t what = random.below(5);
    if (what < 2) {
      const std::string value(random.below(2000), static_cast<char>('a' + i % 26));
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

Task<void> use_at_once(EventLoop& loop, LeedClient& client, int workers) {
  WaitGroup group(loop);
  for (int w = 0; w < workers; ++w) group.spawn(use(client, w, 100));
  co_await group.wait();
}

TEST_P(LeedServed, ManyOperationsAtOnceAreServedInBatches) {
  std::unique_ptr<LeedClient> client = connect();
  run(*loop_, use_at_once(*loop_, *client, 200));  // beyond the tokens of an SSD
  EXPECT_EQ(client->counters().operations, 20'000u);
  // Those of the first turn at least.
  EXPECT_LT(client->counters().messages, client->counters().operations - 100);
  const LeedCounters c = server_->counters();
  EXPECT_EQ(c.gets + c.sets + c.removes, 20'000u);
  EXPECT_GT(server_->device_counters().writes, c.sets * 2);
  EXPECT_GT(server_->cpu_time(), 0u);
}

TEST_P(LeedServed, WhatWasAcknowledgedSurvivesTheServer) {
  std::unique_ptr<LeedClient> client = connect();
  for (int i = 0; i < 50; ++i) {
    const std::string key = "key" + std::to_string(i);
    EXPECT_TRUE(run(*loop_, client->put(key, key)).ok());
  }
  server_->stop();
  Result<std::string> got = run(*loop_, client->get("key1"));
  EXPECT_EQ(got.code(), Code::unavailable);
  client.reset();
  start();
  client = connect();
  for (int i = 0; i < 50; ++i) {
    const std::string key = "key" + std::to_string(i);
    got = run(*loop_, client->get(key));
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(*got, key);
  }
}

TEST_P(LeedServed, ValuesThatHaveNoRoomInAReplyAreAskedForAgain) {
  std::unique_ptr<LeedClient> client = connect();
  const std::string value(kMaxValue, 'v');
  std::vector<std::string> keys;
  for (int i = 0; keys.size() < 4; ++i) {
    const std::string key = "key" + std::to_string(i);
    if (ssd_of(key, kSsds) == 0) keys.push_back(key);
  }
  for (const std::string& key : keys) EXPECT_TRUE(run(*loop_, client->put(key, value)).ok());
  const auto get_all = [](EventLoop& loop, LeedClient& c,
                          const std::vector<std::string>& all) -> Task<void> {
    const auto one = [](LeedClient& from, std::string_view key) -> Task<void> {
      Result<std::string> got = co_await from.get(key);
      EXPECT_TRUE(got.ok() && got->size() == kMaxValue) << got.status().to_string();
    };
    WaitGroup group(loop);
    for (const std::string& key : all) group.spawn(one(c, key));
    co_await group.wait();
  };
  run(*loop_, get_all(*loop_, *client, keys));
  EXPECT_EQ(client->counters().alone, 3u);
}

TEST_P(LeedServed, WhoSpeaksOtherwiseIsRefused) {
  const net::Uri uri = server_->addresses().front();
  const auto connect_saying = [&](const Bytes& hello) {
    return run(*loop_, fabric::connect(Table::clients, *loop_, uri, 0, hello, {}));
  };
  EXPECT_EQ(connect_saying(Bytes(8)).code(), Code::invalid);
  auto connection = connect_saying(encode_leed_hello_request());
  ASSERT_TRUE(connection.ok());
  const auto ask = [](fabric::Connection& c, Bytes request) -> Task<Status> {
    fabric::Call call = c.call(request);
    Result<Bytes> reply = co_await call;
    co_return reply.status();
  };
  EXPECT_FALSE(run(*loop_, ask(**connection, Bytes(3, std::byte{9}))).ok());
  EXPECT_FALSE((*connection)->alive());
}

}  // namespace
}  // namespace scalio::leed
