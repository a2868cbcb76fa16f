// Servers with fewer, as many, or pinned threads for their slices, and the clients of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cpu_cores.h"
#include "client/shard_client.h"
#include "server/server.h"
#include "store/format_store.h"
#include "support/scratch.h"
#include "task/spin.h"
#include "testing/lane_fixture.h"
#include "testing/lasting_port.h"
#include "testing/service_connection.h"

namespace scalio::testing {
namespace {

using server::Server;
using server::ServerOptions;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kSsds = 2, kSlices = 4, kRecords = 200;

// As main() of the program does, before there are threads (store_test.cc).
[[maybe_unused]] const auto logger = spdlog::default_logger();

std::string key_of(int i) { return "key-" + std::to_string(i); }

// A store of 2 SSDs x 4 slices, served here. Over shared memory or TCP, with one or three threads
// that stand in for the NIC, or with threads and clients that spin, is the parameter.
class LanesOfAStore : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { format(dir_.string(), kSlices); }
  static void format(const std::string& dir, unsigned slices) {
    storage::FormatOptions o;
    o.dir = dir;
    o.ssds = kSsds;
    o.ssd_size = 32 << 20;
    o.slices = slices;
    auto made = storage::format_store(o, [](double) {});
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }
  bool tcp() const { return std::string_view(GetParam()) != "shm"; }
  bool spins() const { return std::string_view(GetParam()) == "spinning"; }
  std::string socket() const { return (scratch_.sockets() / "s").string(); }
  ServerOptions options(unsigned threads, bool pin = false) const {
    ServerOptions o;
    o.dir = dir_.string();
    o.cache_bytes = 1 << 20;
    o.listen = {tcp() ? at_port_ : "unix:" + socket()};
    o.threads = threads;
    if (std::string_view(GetParam()) == "three_nics") o.nic_threads = 3;
    if (spins()) o.spin = Spin::kMostBound;
    o.pin = pin;
    return o;
  }
  void start(unsigned threads, bool pin = false) {
    auto s = Server::start(options(threads, pin));
    ASSERT_TRUE(s.ok()) << s.status().to_string();
    server_ = *std::move(s);
    uri_ = server_->addresses().front();
  }
  std::unique_ptr<Client> connected() {
    ClientOptions o;
    if (spins()) o.spin = std::chrono::milliseconds(1);
    auto client = Client::connect(uri_, o);
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    return client.ok() ? *std::move(client) : nullptr;
  }
  void put_records(Client& client) {
    for (int i = 0; i < kRecords; ++i) {
      const auto put = client.run(client.put(key_of(i), "value"));
      ASSERT_TRUE(put.ok()) << put.status().to_string();
    }
  }
  void expect_records(Client& client) {
    for (int i = 0; i < kRecords; ++i) {
      const auto record = client.run(client.get(key_of(i)));
      ASSERT_TRUE(record.ok()) << record.status().to_string();
      EXPECT_EQ(record->value, "value");
    }
  }
  static nlohmann::json stat(Client& client) {
    const auto text = client.run(client.stat());
    EXPECT_TRUE(text.ok()) << text.status().to_string();
    return text.ok() ? nlohmann::json::parse(*text) : nlohmann::json();
  }
  // Connections that this machine has to the server, none of which comes or goes meanwhile. The
  // kernel's list may leave out a line or have it twice if others come and go while it is read.
  std::size_t connections() const {
    std::set<std::string> found;
    for (int i = 0; i < 5; ++i) add_connections(found);
    return found.size();
  }
  // Of both ends, the server's has the socket's path, or the port as its own.
  void add_connections(std::set<std::string>& found) const {
    std::ifstream all(tcp() ? "/proc/self/net/tcp" : "/proc/self/net/unix");
    std::string line;
    const std::string port = tcp() ? uri_.substr(uri_.rfind(':') + 1) : "";
    char at[16] = "";
    if (tcp()) std::snprintf(at, sizeof at, ":%04X ", static_cast<unsigned>(std::stoi(port)));
    while (std::getline(all, line)) {
      if (tcp()) {
        const std::size_t own = line.find(at);  // its own address comes first
        if (own == std::string::npos || own >= 20 || line.find(" 01 ") == std::string::npos)
          continue;
        // By both addresses: the line's number, before them, changes.
        found.insert(line.substr(own, line.find(" 01 ") - own));
      } else if (line.ends_with(socket()) && line.find(" 0001 03 ") != std::string::npos) {
        found.insert(line.substr(line.find(" 0001 03 ")));  // its inode
      }
    }
  }

  Scratch scratch_{"lanes"};
  const fs::path dir_ = scratch_ / "store";
  // Of all servers that a test starts.
  const std::string at_port_ = "tcp:127.0.0.1:" + std::to_string(lasting_port());
  std::string uri_;
  std::unique_ptr<Server> server_;
};
INSTANTIATE_TEST_SUITE_P(Over, LanesOfAStore,
                         ::testing::Values("shm", "tcp", "three_nics", "spinning"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(LanesOfAStore, AClientConnectsOnceToEach) {
  for (const unsigned lanes : {1, 3, 8}) {
    start(lanes);
    std::unique_ptr<Client> client = connected();
    ASSERT_TRUE(client);
    put_records(*client);
    expect_records(*client);
    EXPECT_EQ(connections(), lanes);
    const nlohmann::json told = stat(*client);
    EXPECT_EQ(told["lanes"].size(), lanes);
    for (const nlohmann::json& lane : told["lanes"]) EXPECT_EQ(lane["clients"], 1) << lane;
    std::unique_ptr<Client> another = connected();
    ASSERT_TRUE(another);
    EXPECT_EQ(connections(), 2 * lanes);
    put_records(*another);
    expect_records(*client);
    another.reset();
    client.reset();
    server_.reset();
  }
}

TEST_P(LanesOfAStore, StatTellsWhichLaneServesWhatAndHowBusyItIs) {
  start(3);
  std::unique_ptr<Client> client = connected();
  ASSERT_TRUE(client);
  put_records(*client);
  const nlohmann::json told = stat(*client);
  ASSERT_EQ(told["shards"].size(), kSsds * kSlices);
  EXPECT_EQ(told["lanes"][0]["shards"], nlohmann::json({0, 3, 6}));
  EXPECT_EQ(told["lanes"][1]["shards"], nlohmann::json({1, 4, 7}));
  EXPECT_EQ(told["lanes"][2]["shards"], nlohmann::json({2, 5}));
  for (std::size_t i = 0; i < told["shards"].size(); ++i) {
    EXPECT_EQ(told["shards"][i]["lane"], i % 3);
  }
  for (const nlohmann::json& lane : told["lanes"]) {
    EXPECT_TRUE(lane["core"].is_null());
    EXPECT_GT(lane["cpu_us"], 0);
    EXPECT_GT(lane["wall_us"], 0);
    EXPECT_GT(lane["busy"], 0.0);
    EXPECT_LE(lane["busy"], 1.01);
  }
}

// The next server has other lanes, and some of them are no more.
TEST_P(LanesOfAStore, AClientGoesOnWithAServerThatHasOtherLanes) {
  start(8);
  std::unique_ptr<Client> client = connected();
  ASSERT_TRUE(client);
  put_records(*client);
  for (const unsigned lanes : {3U, 1U, 5U, 8U}) {
    server_.reset();
    start(lanes);
    expect_records(*client);
    put_records(*client);
    expect_records(*client);
    EXPECT_EQ(connections(), lanes);
    EXPECT_EQ(stat(*client)["lanes"].size(), lanes);
  }
}

TEST_P(LanesOfAStore, LanesArePinnedToCores) {
  const std::vector<unsigned> cores = usable_cores();
  const auto lanes = static_cast<unsigned>(std::min<std::size_t>(cores.size(), 8));
  start(lanes, true);
  std::unique_ptr<Client> client = connected();
  ASSERT_TRUE(client);
  put_records(*client);
  const nlohmann::json told = stat(*client);
  for (unsigned i = 0; i < lanes; ++i) EXPECT_EQ(told["lanes"][i]["core"], cores[i]);
  EXPECT_EQ(usable_cores(), cores) << "of this thread";
}

TEST_P(LanesOfAStore, WhatTheirThreadsSpinIsCounted) {
  start(1);
  std::unique_ptr<Client> client = connected();
  ASSERT_TRUE(client);
  nlohmann::json told;
  do {
    put_records(*client);
    expect_records(*client);
    told = stat(*client);
  } while (spins() && (told["lanes"][0]["spins_paid"] == 0 || told["nic_spin_us"] == 0));
  const nlohmann::json& lane = told["lanes"][0];
  EXPECT_GE(lane["spins"], lane["spins_paid"]);
  if (spins()) return;
  EXPECT_EQ(lane["spins"], 0);
  EXPECT_EQ(lane["spin_us"], 0);
  EXPECT_EQ(told["nic_spin_us"], 0);
}

TEST_P(LanesOfAStore, WhatCannotBeIsRefusedWithNumbers) {
  const auto refused = [&](const ServerOptions& o) {
    auto s = Server::start(o);
    EXPECT_EQ(s.code(), Code::invalid);
    return s.ok() ? "" : s.status().message();
  };
  ServerOptions spinning = options(1);
  spinning.spin = Spin::kMostBound + 1;
  EXPECT_THAT(refused(spinning), HasSubstr("1 ms"));
  for (const auto spin : {std::chrono::microseconds(-1), std::chrono::microseconds(1001)}) {
    ClientOptions o;
    o.spin = spin;
    EXPECT_EQ(Client::connect("unix:/nowhere", o).code(), Code::invalid);
  }
  EXPECT_THAT(refused(options(9)), AllOf(HasSubstr("--threads 9"), HasSubstr("8 slices")));
  if (const std::size_t cores = usable_cores().size(); cores < 8) {
    EXPECT_THAT(refused(options(8, true)),
                AllOf(HasSubstr("8 threads"), HasSubstr(std::to_string(cores) + " cores")));
  }
}

// The second SSD's log cannot be read. Nothing is served while it has not been recovered, and who
// connects is told so, with how far it is, by the lane of the first one.
TEST_P(LanesOfAStore, WhoConnectsWhileLogsAreRecoveredIsToldHowFarItIs) {
  start(2);  // for its address
  server_.reset();
  ServerOptions o = options(2);
  o.dir = (scratch_ / "whole").string();
  ASSERT_NO_FATAL_FAILURE(format(o.dir, 1));
  o.offer_ssds = [&](const std::vector<std::string>& ssds) -> Result<layout::SsdTarget> {
    fs::resize_file(ssds.back(), 4096);
    return layout::SsdTarget();
  };
  Status told;
  o.cannot_start = [&](const Status&) { told = Client::connect(uri_).status(); };
  EXPECT_EQ(Server::start(o).code(), Code::io_error);
  EXPECT_EQ(told.code(), Code::unavailable);
  EXPECT_THAT(told.message(), ::testing::MatchesRegex("the server recovers its log, [0-9]+ %"));
}

// A client of the lane that LaneFixture has, with all of a client's code but the transport.
class StalledSsd : public ::testing::Test, protected server::LaneFixture {
 protected:
  struct Shard {
    Shard(StalledSsd& test, std::uint32_t number)
        : link(test.time,
               [&test, number](Bytes hello, Nanos bound) {
                 return test.lanes_.join(number, std::move(hello), bound);
               },
               {}),
          client(test.time, link,
                 [&test, number](layout::HelloReply) -> Task<Result<client::OpenedSsd>> {
                   auto ssd = std::make_unique<block::FaultyDevice>(test.time,
                                                                    test.parts.at(number)->memory);
                   test.ssds_[number] = ssd.get();
                   co_return client::OpenedSsd{std::move(ssd)};
                 },
                 {}) {}
    client::ShardLink link;
    client::ShardClient client;
  };
  void SetUp() override {
    for (const std::uint32_t number : {0U, 2U}) {
      shards_[number] = std::make_unique<Shard>(*this, number);
      for (int i = 0; i < kKeys; ++i) keys_[number].push_back(key_of(number, i));
      for (int i = 0; i < kKeys; ++i) {
        const auto made = time.run(put(number, i));
        ASSERT_TRUE(made.ok()) << made.status().to_string();
      }
    }
  }
  // All goes on when the SSD does, over the same connection.
  void TearDown() override {
    parts[0]->device.heal();
    if (ssds_.contains(0)) ssds_[0]->heal();
    run_for(3 * 3600 * kSecond);
    EXPECT_TRUE(time.run(put(0, 0)).ok());
    EXPECT_EQ(connections_, 1);
    for (auto& [number, shard] : shards_) {
      shard->link.close();
      EXPECT_TRUE(time.run([](client::Ssd& ssd) -> Task<bool> {
        co_await ssd.close();
        co_return true;
      }(shard->client.ssd())));
    }
    shards_.clear();
    lanes_.close();
    time.run();
  }

  using Connection = Result<std::unique_ptr<fabric::Connection>>;
  Task<Connection> connect(std::uint32_t, Bytes hello, Nanos) {
    ++connections_;
    auto made =
        fabric::ServiceConnection::connect(time, region.span(), *lane, hello, 10 * kMicrosecond, 1);
    if (!made.ok()) co_return made.status();
    co_return std::unique_ptr<fabric::Connection>(*std::move(made));
  }
  Task<Result<std::uint64_t>> put(std::uint32_t shard, int n) {
    return shards_[shard]->client.write(layout::RequestKind::put, keys_[shard][n], "value", 0);
  }
  Task<Result<Record>> get(std::uint32_t shard, int n) {
    const std::string& key = keys_[shard][n];
    return shards_[shard]->client.get(key, parts[shard]->geometry.point_of(key));
  }

  // What was never written is in no cache: each such key needs the SSD.
  std::string absent_key(std::uint32_t shard) {
    const layout::SsdGeometry& g = parts[shard]->geometry;
    for (;;) {
      std::string key = "absent-" + std::to_string(next_absent_++);
      if (g.placement().shard_of(hash_key(key, g.hash_seed)) == shard) return key;
    }
  }
  // One operation after the other until then; counts those that have ended well.
  Task<void> repeat(std::uint32_t shard, bool writes, int n, Nanos end, int* done) {
    for (; time.now() < end; ++n) {
      if (writes) {
        const Result<std::uint64_t> put_one = co_await put(shard, n % kKeys);
        *done += put_one.ok();
      } else {
        const std::string key = absent_key(shard);
        const Result<Record> got =
            co_await shards_[shard]->client.get(key, parts[shard]->geometry.point_of(key));
        *done += got.code() == Code::not_found;
      }
    }
  }
  struct Done {
    int first, other;
  };
  // In this time, of many operations at once on the slice whose SSD may be stalled, and fewer on
  // the other one.
  Done load(bool writes, Nanos duration) {
    first_done_ = other_done_ = 0;
    const Nanos end = time.now() + duration;
    for (int i = 0; i < 300; ++i) time.spawn(repeat(0, writes, i, end, &first_done_));
    for (int i = 0; i < 64; ++i) time.spawn(repeat(2, writes, i, end, &other_done_));
    time.run_until(end);
    return {first_done_, other_done_};
  }
  void expect_the_other_to_keep_its_throughput(bool writes, Nanos duration) {
    const Done before = load(writes, duration);
    EXPECT_GT(before.first, 100);
    EXPECT_GT(before.other, 50);
    run_for(kSecond);
    stall(0, 3600 * kSecond);
    if (ssds_.contains(0)) ssds_[0]->delay(block::Io::Kind::read, 3600 * kSecond);
    const Done stalled = load(writes, duration);
    EXPECT_EQ(stalled.first, 0);
    EXPECT_GE(stalled.other, before.other * 8 / 10);
    EXPECT_EQ(lane->clients(), 1U);
  }

  static constexpr int kKeys = 20;
  int connections_ = 0;
  int next_absent_ = 0;
  int first_done_ = 0, other_done_ = 0;                 // counted by repeat()
  std::map<std::uint32_t, block::FaultyDevice*> ssds_;  // as the client has opened them
  client::Lanes lanes_{time, [this](std::uint32_t lane_asked, Bytes hello, Nanos bound) {
                         return connect(lane_asked, std::move(hello), bound);
                       }};
  std::map<std::uint32_t, std::unique_ptr<Shard>> shards_;
  std::map<std::uint32_t, std::vector<std::string>> keys_;
};

// More writes than a client may have in flight wait for one SSD. PUTs and GETs of the other slice
// of its lane go on, and so do GETs of its own that need no SSD; nothing is disconnected.
TEST_F(StalledSsd, HoldsUpNoOtherSliceOfItsLane) {
  constexpr int kWrites = 1000, kOthers = 400;
  const Nanos began = time.now();
  stall(0, 3600 * kSecond);
  std::vector<std::optional<Result<std::uint64_t>>> stalled(kWrites);
  for (int i = 0; i < kWrites; ++i) time.start(put(0, i % kKeys), stalled[i]);
  run_for(kSecond);
  for (int i = 0; i < kOthers; ++i) {
    std::optional<Result<std::uint64_t>> written;
    time.start(put(2, i % kKeys), written);
    run_for(10 * kMillisecond);
    ASSERT_TRUE(written && written->ok()) << i;
    std::optional<Result<Record>> other, own;
    time.start(get(2, i % kKeys), other);
    time.start(get(0, i % kKeys), own);
    run_for(10 * kMillisecond);
    ASSERT_TRUE(other && other->ok()) << i;
    ASSERT_TRUE(own && own->ok()) << i;
  }
  EXPECT_LT(time.now(), began + 10 * kSecond);
  for (const auto& s : stalled) EXPECT_FALSE(s.has_value());
  run_for(20 * kSecond);
  int unknown = 0;
  for (const auto& s : stalled) {
    ASSERT_TRUE(s.has_value()) << "its time has passed";
    unknown += s->code() == Code::unknown;
  }
  EXPECT_GT(unknown, 0);
  EXPECT_LT(unknown, kWrites) << "not all can have been sent";
  EXPECT_EQ(connections_, 1);
  EXPECT_EQ(lane->clients(), 1U);
}

// In virtual time, where only what waits for the SSD, or for who waits for it, takes longer.
TEST_F(StalledSsd, LeavesTheOtherSliceItsPutsPerSecond) {
  expect_the_other_to_keep_its_throughput(true, kMillisecond);
}

TEST_F(StalledSsd, LeavesTheOtherSliceItsMissesPerSecond) {
  expect_the_other_to_keep_its_throughput(false, 100 * kMillisecond);
}

}  // namespace
}  // namespace scalio::testing
