// A server with running shards, for the tests of this layer.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fabric/connect.h"
#include "fabric/server.h"
#include "net/verbs.h"
#include "testing/loops.h"

namespace scalio::fabric {

// Answers "hi <hello>"; refuses the hello "refuse". Requests: "hold" is kept until somebody's
// "release" answers all that are held with "released"; "close" ends the connection; "blob N" is
// answered with N bytes; everything else is echoed. The counters may be read by any thread.
class TestService final : public Service {
 public:
  Result<Bytes> on_hello(Peer& peer, ByteView request) override {
    if (as_string(request) == "refuse") {
      if (on_refuse) on_refuse();
      return Status(Code::read_only, "as it was asked to");
    }
    EXPECT_FALSE(peer.name().empty());
    ++connected;
    return bytes("hi " + std::string(as_string(request)));
  }
  void on_request(Peer& peer, std::uint64_t call, ByteView request) override {
    ++requests;
    const std::string text(as_string(request));
    if (text == "hold") {
      held_.emplace_back(&peer, call);
      ++held;
    } else if (text == "release") {
      for (auto& [who, what] : std::exchange(held_, {})) who->reply(what, as_bytes("released"));
      peer.reply(call, as_bytes("done"));
    } else if (text == "close") {
      peer.close("because it was asked to");
    } else if (text.starts_with("blob ")) {
      peer.reply(call, Bytes(std::stoul(text.substr(5)), std::byte{7}));
    } else {
      peer.reply(call, request);
    }
  }
  void on_disconnect(Peer& peer) override {
    std::erase_if(held_, [&](auto& h) { return h.first == &peer; });
    ++disconnected;
  }

  static Bytes bytes(const std::string& s) { return Bytes(as_bytes(s).begin(), as_bytes(s).end()); }

  std::atomic<int> connected{0}, disconnected{0}, requests{0}, held{0};
  std::function<void()> on_refuse;  // set before it is served

 private:
  std::vector<std::pair<Peer*, std::uint64_t>> held_;
};

// One shard: its loop on a thread of its own.
class TestShard {
 public:
  explicit TestShard(std::size_t region_size)
      : loop_(make_loop()),
        region_(std::move(*Region::create(region_size))),
        thread_([this] { loop_->run_until([this] { return stop_; }); }) {}
  ~TestShard() {
    loop_->run_on_loop([this] { stop_ = true; });
    thread_.join();
    EXPECT_EQ(service.connected, service.disconnected);
  }
  ShardEndpoint endpoint() { return {loop_.get(), region_.get(), &service}; }
  Region& region() { return *region_; }

  TestService service;

 private:
  LoopPtr loop_;
  std::unique_ptr<Region> region_;
  bool stop_ = false;
  std::thread thread_;
};

class TestServer {
 public:
  static constexpr std::size_t kRegion = 1024 * 1024;

  // Serves `scheme`, and everything that can be served beside it.
  explicit TestServer(net::Uri::Scheme scheme, Limits limits = {}, int shards = 2)
      : rdma_(scheme == net::Uri::Scheme::rdma), limits_(limits) {
    for (int i = 0; i < shards; ++i) this->shards.push_back(std::make_unique<TestShard>(kRegion));
    Result<std::unique_ptr<EpochFile>> file = EpochFile::open(dir_.path() + "/epoch");
    EXPECT_TRUE(file.ok());
    epoch_file = std::move(*file);
    start();
  }
  // Also again, after server.reset().
  void start() {
    std::vector<ShardEndpoint> endpoints;
    for (auto& shard : shards) endpoints.push_back(shard->endpoint());
    std::vector<net::Uri> listen = {*net::parse_uri("unix:" + dir_.path() + "/socket"),
                                    *net::parse_uri("tcp:127.0.0.1:0")};
    if (rdma_) listen = {*net::parse_uri("rdma:" + net::rdma_addresses().front() + ":0")};
    const Result<std::uint64_t> epoch = epoch_file->advance();
    EXPECT_TRUE(epoch.ok()) << epoch.status().to_string();
    Result<std::unique_ptr<Server>> started =
        Server::start(std::move(endpoints), *epoch, *epoch_file, std::move(listen), limits_);
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    server = std::move(*started);
  }
  net::Uri uri(net::Uri::Scheme scheme) const {
    return server->addresses()[scheme == net::Uri::Scheme::tcp ? 1 : 0];
  }
  TestService& service(std::size_t shard = 0) { return shards[shard]->service; }
  Region& region(std::size_t shard = 0) { return shards[shard]->region(); }
  const std::string& dir() const { return dir_.path(); }

 private:
  TempDir dir_;
  const bool rdma_;
  const Limits limits_;

 public:
  std::vector<std::unique_ptr<TestShard>> shards;
  std::unique_ptr<EpochFile> epoch_file;
  std::unique_ptr<Server> server;
};

// What a test of a transport needs of the machine; null if it is there.
inline const char* lacking(net::Uri::Scheme scheme) {
  static const bool rdma = !net::rdma_addresses().empty();
  return scheme == net::Uri::Scheme::rdma && !rdma ? "this machine has no RDMA device" : nullptr;
}
inline std::string transport_name(const testing::TestParamInfo<net::Uri::Scheme>& info) {
  return info.param == net::Uri::Scheme::unix_socket ? "shm"
         : info.param == net::Uri::Scheme::tcp       ? "tcp"
                                                     : "rdma";
}

// Waits, without a loop, for what other threads do.
template <class F>
void wait_until(F done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < end) {
    if (done()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::fprintf(stderr, "the test waits in vain\n");
  std::abort();
}

}  // namespace scalio::fabric
