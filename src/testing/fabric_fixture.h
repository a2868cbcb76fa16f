// A server with running lanes, for the tests of this layer.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fabric/connect.h"
#include "fabric/server/fabric_server.h"
#include "fabric/transports/transports.h"
#include "net/verbs.h"
#include "testing/loops.h"
#include "testing/tls_files.h"

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

// One lane: its loop on a thread of its own.
class FabricTestLane {
 public:
  explicit FabricTestLane(std::size_t region_size)
      : loop_(make_loop()),
        region_(std::move(*Region::create(region_size))),
        thread_([this] { loop_->run_until([this] { return stop_; }); }) {}
  ~FabricTestLane() {
    loop_->run_on_loop([this] { stop_ = true; });
    thread_.join();
    EXPECT_EQ(service.connected, service.disconnected);
  }
  LaneEndpoint endpoint() { return {loop_.get(), region_.get(), &service}; }
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
  using Table = std::span<const ServerTransport>;

  // Serves `scheme`, and everything of the table that can be served beside it.
  explicit TestServer(const std::string& scheme, Limits limits = {}, int lanes = 2,
                      Table table = Transports::servers)
      : table_(table), atomics_(row(scheme).atomics), limits_(with_tls(std::move(limits))) {
    for (int i = 0; i < lanes; ++i) {
      this->lanes.push_back(std::make_unique<FabricTestLane>(kRegion));
    }
    Result<std::unique_ptr<EpochFile>> file = EpochFile::open(dir_.path() + "/epoch");
    EXPECT_TRUE(file.ok()) << file.status().to_string();
    epoch_file = std::move(*file);
    start();
  }
  // Also again, after server.reset().
  void start() {
    std::vector<LaneEndpoint> endpoints;
    for (auto& lane : lanes) endpoints.push_back(lane->endpoint());
    std::vector<net::Uri> listen;
    for (const ServerTransport& t : table_) {
      if (t.atomics == atomics_) listen.push_back(any_address(t, dir_.path()));
    }
    const Result<std::uint64_t> epoch = epoch_file->advance();
    EXPECT_TRUE(epoch.ok()) << epoch.status().to_string();
    Result<std::unique_ptr<FabricServer>> started =
        FabricServer::start(table_, std::move(endpoints), *epoch, *epoch_file, listen, limits_);
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    server = std::move(*started);
  }
  // Where a transport can listen on this machine.
  static net::Uri any_address(const ServerTransport& t, const std::string& dir) {
    const std::string scheme(t.scheme.name);
    if (t.scheme.path) return {scheme, dir + "/" + scheme, "", 0};
    return {scheme, "", t.atomics == Atomics::nic ? net::rdma_addresses().front() : "127.0.0.1", 0};
  }
  net::Uri uri(const std::string& scheme) const {
    for (const net::Uri& at : server->addresses()) {
      if (at.scheme == scheme) return at;
    }
    ADD_FAILURE() << scheme << ": is not served";
    return {};
  }
  TestService& service(std::size_t lane = 0) { return lanes[lane]->service; }
  Region& region(std::size_t lane = 0) { return lanes[lane]->region(); }
  const std::string& dir() const { return dir_.path(); }

 private:
  static Limits with_tls(Limits limits) {
    if (!limits.tls) limits.tls = server_tls();
    return limits;
  }
  const ServerTransport& row(const std::string& scheme) const {
    return *std::ranges::find_if(table_, [&](auto& t) { return t.scheme.name == scheme; });
  }

  TempDir dir_;
  const Table table_;
  const Atomics atomics_;
  const Limits limits_;

 public:
  std::vector<std::unique_ptr<FabricTestLane>> lanes;
  std::unique_ptr<EpochFile> epoch_file;
  std::unique_ptr<FabricServer> server;
};

// What a test of a transport needs of the machine; null if it is there.
inline const char* lacking(const std::string& scheme) {
  static const bool rdma = !net::rdma_addresses().empty();
  return scheme == net::kRdma && !rdma ? "this machine has no RDMA device" : nullptr;
}
inline std::string transport_name(const testing::TestParamInfo<std::string>& info) {
  return info.param == net::kUnix ? "shm" : info.param;
}

// What a client of this scheme says of itself.
inline ConnectOptions options_for(const std::string& scheme, ConnectOptions options = {}) {
  if (scheme == net::kTls && !options.tls) options.tls = client_tls();
  return options;
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
