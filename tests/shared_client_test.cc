// A store in this process, used by many threads, and by loops that wait for a descriptor, through
// one SharedClient.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <scalio/shared_client.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/server.h"
#include "store/format_store.h"
#include "support/scratch.h"

namespace scalio::testing {
namespace {

using server::Server;
using server::ServerOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr seconds kHang{60};  // a bound that only a hang meets
constexpr unsigned kLanes = 2;

// As main() of the program does, before there are threads (store_test.cc).
[[maybe_unused]] const auto logger = spdlog::default_logger();

std::string key_of(int i) { return "key-" + std::to_string(i); }

// Over shared memory or TCP is the parameter.
class SharedClientTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    storage::FormatOptions format;
    format.dir = dir_.string();
    format.ssds = 2;
    format.ssd_size = 16 << 20;
    auto made = storage::format_store(format, [](double) {});
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    ServerOptions options;
    options.dir = dir_.string();
    options.cache_bytes = 1 << 20;
    options.threads = kLanes;
    const bool tcp = std::string_view(GetParam()) == "tcp";
    options.listen = {tcp ? "tcp:127.0.0.1:0" : "unix:" + (scratch_.sockets() / "s").string()};
    auto server = Server::start(options);
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = *std::move(server);
  }
  std::string uri() const { return server_->addresses().front(); }
  std::unique_ptr<SharedClient> connected(SharedClientOptions options = {}) {
    auto client = SharedClient::connect(uri(), std::move(options));
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    return client.ok() ? *std::move(client) : nullptr;
  }

  Scratch scratch_{"shared_client"};
  const fs::path dir_ = scratch_ / "store";
  std::unique_ptr<Server> server_;
};
INSTANTIATE_TEST_SUITE_P(Over, SharedClientTest, ::testing::Values("shm", "tcp"),
                         [](const auto& test) { return std::string(test.param); });

// Keeps an operation in flight until it is let go.
class Held {
 public:
  explicit Held(SharedClient& client) {
    held_ = client.run([let_go = let_go_](Client& c) -> Task<Status> {
      while (!*let_go) co_await c.sleep(milliseconds(1));
      co_return Status();
    });
  }
  ~Held() { let_go(); }
  void let_go() { *let_go_ = true; }
  Status end() { return held_.get(); }

 private:
  const std::shared_ptr<std::atomic<bool>> let_go_ = std::make_shared<std::atomic<bool>>(false);
  std::future<Status> held_;
};

TEST_P(SharedClientTest, DoesWhatAClientDoes) {
  const auto client = connected();
  const auto put = client->put("key", "one").get();
  ASSERT_TRUE(put.ok()) << put.status().to_string();
  EXPECT_EQ(client->put_if("key", "two", 0).get().code(), Code::conflict);
  const auto second = client->put_if("key", "two", *put).get();
  ASSERT_TRUE(second.ok()) << second.status().to_string();
  const auto got = client->get("key").get();
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(got->value, "two");
  EXPECT_EQ(got->version, *second);
  EXPECT_EQ(client->get("").get().code(), Code::invalid);

  const auto written =
      client->write({{.key = "a", .value = "1"}, {.key = "b", .value = "2", .expected = 7}}).get();
  ASSERT_TRUE(written.ok()) << written.status().to_string();
  ASSERT_EQ(written->size(), 2u);
  EXPECT_TRUE((*written)[1].ok());
  const auto many = client->multi_get({"a", "absent", "b"}).get();
  ASSERT_TRUE(many.ok()) << many.status().to_string();
  ASSERT_EQ(many->size(), 3u);
  EXPECT_EQ((*many)[0]->value, "1");
  EXPECT_EQ((*many)[1].code(), Code::not_found);
  EXPECT_EQ((*many)[2]->value, "2");

  const auto appended = client->append("a", "23").get();
  ASSERT_TRUE(appended.ok()) << appended.status().to_string();
  EXPECT_EQ(appended->size, 3u);
  EXPECT_EQ(client->increment("a", -3).get()->value, 120);
  EXPECT_EQ(client->increment("key").get().code(), Code::invalid);

  EXPECT_EQ(client->remove_if("key", *put).get().code(), Code::conflict);
  EXPECT_TRUE(client->remove_if("key", *second).get().ok());
  EXPECT_TRUE(client->remove("a").get().ok());
  const auto stat = client->stat().get();
  ASSERT_TRUE(stat.ok()) << stat.status().to_string();
  EXPECT_THAT(*stat, HasSubstr("inline_limit"));
  EXPECT_GT(client->inline_limit(), 0u);
}

TEST_P(SharedClientTest, Scans) {
  const auto client = connected();
  std::set<std::string> put, found;
  for (int i = 0; i < 100; ++i) {
    put.insert(key_of(i));
    ASSERT_TRUE(client->put(key_of(i), "value").get().ok());
  }
  const auto ranges = client->scan_ranges(3).get();
  ASSERT_TRUE(ranges.ok()) << ranges.status().to_string();
  EXPECT_EQ(ranges->size(), 3u);
  for (ScanRange range : *ranges) {
    while (!range.empty()) {
      const auto page = client->scan(range).get();
      ASSERT_TRUE(page.ok()) << page.status().to_string();
      for (const ScannedRecord& r : page->records) found.emplace(r.key);
      range = page->rest;
    }
  }
  EXPECT_EQ(found, put);
}

// Each of many threads counts up a number of its own, and all of them one together.
TEST_P(SharedClientTest, ManyThreadsShareIt) {
  constexpr int kThreads = 8, kEach = 25;
  const auto client = connected({.threads = 2});
  ASSERT_TRUE(client->put("all", "").get().ok());
  const auto add = [&](const std::string& key) {
    for (;;) {
      auto now = client->get(key).get();
      ASSERT_TRUE(now.ok() || now.code() == Code::not_found) << now.status().to_string();
      const std::uint64_t version = now.ok() ? now->version : 0;
      auto put = client->put_if(key, (now.ok() ? now->value : "") + "x", version).get();
      if (put.ok()) return;
      ASSERT_EQ(put.code(), Code::conflict) << put.status().to_string();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        add(key_of(i));
        add("all");
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_EQ(client->get(key_of(i)).get()->value.size(), std::size_t{kEach});
  }
  EXPECT_EQ(client->get("all").get()->value.size(), std::size_t{kThreads} * kEach);
}

TEST_P(SharedClientTest, EachThreadIsAClientOfAllLanes) {
  const auto client = connected({.threads = 3});
  const auto stat = client->stat().get();
  ASSERT_TRUE(stat.ok()) << stat.status().to_string();
  const auto lanes = nlohmann::json::parse(*stat)["lanes"];
  ASSERT_EQ(lanes.size(), kLanes);
  for (const auto& lane : lanes) EXPECT_EQ(lane["clients"], 3);
}

TEST_P(SharedClientTest, ItsThreadsShareTheWork) {
  const auto client = connected({.threads = 2, .in_flight = 1});
  Held held(*client);
  EXPECT_EQ(client->get("key").get().code(), Code::not_found);
}

TEST_P(SharedClientTest, WhatHasNoRoomIsBusy) {
  const auto client = connected({.in_flight = 2});
  Held one(*client), two(*client);
  const Status busy = client->get("key", [](auto) { FAIL() << "it was called"; });
  EXPECT_EQ(busy.code(), Code::busy);
  EXPECT_THAT(busy.message(), HasSubstr("raise in_flight"));
  EXPECT_EQ(client->put("key", "value").get().code(), Code::busy);
  one.let_go();
  EXPECT_TRUE(one.end().ok());
  EXPECT_TRUE(client->put("key", "value").get().ok());
}

TEST_P(SharedClientTest, ACallMayWaitForRoom) {
  const auto client = connected({.in_flight = 1, .submit_timeout = kHang});
  Held held(*client);
  auto put = std::async(std::launch::async, [&] { return client->put("key", "value").get(); });
  held.let_go();
  EXPECT_TRUE(put.get().ok());
}

TEST_P(SharedClientTest, ACallWaitsForRoomForABoundedTime) {
  const auto client = connected({.in_flight = 1, .submit_timeout = milliseconds(2)});
  Held held(*client);
  EXPECT_EQ(client->get("key").get().code(), Code::busy);
}

// Which a thread of the client itself could do for ever.
TEST_P(SharedClientTest, AFunctionDoesNotWaitForRoom) {
  const auto client = connected({.in_flight = 2, .submit_timeout = kHang});
  Held held(*client);
  std::promise<Status> begun;
  ASSERT_TRUE(client
                  ->get("key",
                        [&](auto) {
                          EXPECT_TRUE(client->on_own_thread());
                          EXPECT_TRUE(client->get("key", [](auto) {}).ok());
                          begun.set_value(client->get("key", [](auto) {}));
                        })
                  .ok());
  EXPECT_EQ(begun.get_future().get().code(), Code::busy);
  EXPECT_FALSE(client->on_own_thread());
}

TEST_P(SharedClientTest, StopWaitsForWhatIsInFlight) {
  constexpr int kPuts = 500;
  const auto client = connected({.threads = 2});
  std::atomic<int> ended = 0, good = 0;
  for (int i = 0; i < kPuts; ++i) {
    ASSERT_TRUE(client
                    ->put(key_of(i), "value",
                          [&](Result<std::uint64_t> put) {
                            good += put.ok();
                            ++ended;
                          })
                    .ok());
  }
  client->stop();
  EXPECT_EQ(ended, kPuts);
  EXPECT_EQ(good, kPuts);
  EXPECT_EQ(client->get("key").get().code(), Code::unavailable);
  EXPECT_THAT(client->get("key").get().status().message(), HasSubstr("stopped"));
  client->stop();
}

// Threads that go on asking while it stops are told so, and all that was begun has ended.
TEST_P(SharedClientTest, IsStoppedBesideItsUsers) {
  for (int round = 0; round < 5; ++round) {
    const auto client = connected({.threads = 2, .in_flight = 8, .submit_timeout = kHang});
    std::atomic<int> begun = 0, ended = 0;
    std::vector<std::thread> users;
    for (int i = 0; i < 4; ++i) {
      users.emplace_back([&] {
        while (client->get("key", [&](auto) { ++ended; }).ok()) ++begun;
      });
    }
    while (begun < 1000) std::this_thread::yield();
    client->stop();
    for (std::thread& u : users) u.join();
    EXPECT_EQ(begun, ended);
  }
}

TEST_P(SharedClientTest, AQueueBringsOutcomesToItsThread) {
  constexpr int kPuts = 100;
  const auto client = connected({.threads = 2});
  auto queue = CompletionQueue::create(kPuts);
  ASSERT_TRUE(queue.ok()) << queue.status().to_string();
  EXPECT_EQ((*queue)->poll(), 0u);
  const auto here = std::this_thread::get_id();
  int ended = 0;
  const auto done = [&](Result<std::uint64_t> put) {
    EXPECT_TRUE(put.ok()) << put.status().to_string();
    EXPECT_EQ(std::this_thread::get_id(), here);
    ++ended;
  };
  for (int i = 0; i < kPuts; ++i) {
    ASSERT_TRUE(client->put(key_of(i), "value", done, queue->get()).ok());
  }
  const Status busy = client->put("key", "value", done, queue->get());
  EXPECT_EQ(busy.code(), Code::busy);
  EXPECT_THAT(busy.message(), HasSubstr("poll()"));
  while (ended < kPuts) {
    pollfd waited{.fd = (*queue)->fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waited, 1, static_cast<int>(milliseconds(kHang).count())), 1);
    EXPECT_GT((*queue)->poll(), 0u);
  }
  pollfd empty{.fd = (*queue)->fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&empty, 1, 0), 0);
  // What is in the queue stays there when the client stops.
  ASSERT_TRUE(client->put("key", "value", done, queue->get()).ok());
  client->stop();
  EXPECT_EQ((*queue)->poll(), 1u);
  EXPECT_EQ(ended, kPuts + 1);
}

TEST_P(SharedClientTest, AQueueMayGoBeforeItsOperationsEnd) {
  const auto client = connected();
  Held held(*client);
  const auto never = [](Status) { FAIL() << "it was called"; };
  std::atomic<bool> let_go = false;
  {
    auto queue = CompletionQueue::create();
    ASSERT_TRUE(queue.ok());
    const auto wait = [&](Client& c) -> Task<Status> {
      while (!let_go) co_await c.sleep(milliseconds(1));
      co_return Status();
    };
    ASSERT_TRUE(client->run(wait, never, queue->get()).ok());
  }
  let_go = true;
  held.let_go();
  client->stop();
}

TEST_P(SharedClientTest, WrongOptionsAreRefused) {
  EXPECT_EQ(SharedClient::connect(uri(), {.threads = 0}).code(), Code::invalid);
  EXPECT_EQ(SharedClient::connect(uri(), {.threads = 65}).code(), Code::invalid);
  EXPECT_EQ(SharedClient::connect(uri(), {.in_flight = 0}).code(), Code::invalid);
  EXPECT_EQ(SharedClient::connect(uri(), {.submit_timeout = milliseconds(-1)}).code(),
            Code::invalid);
  EXPECT_EQ(SharedClient::connect("nothing").code(), Code::invalid);
  EXPECT_EQ(SharedClient::connect("unix:/nowhere", {.threads = 2}).code(), Code::unavailable);
  EXPECT_EQ(CompletionQueue::create(0).code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::testing
