// LoopbackTransport: a transport within one process, for tests. It shows what a transport is: this
// file and one row of a table. Clients find the server in a list of the process, use the region
// through a mapping of their own, and have one end of a socket pair for messages.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fabric/connect_attempt.h"
#include "fabric/frame_stream.h"
#include "fabric/one_sided.h"
#include "fabric/region.h"
#include "fabric/server/transport_server.h"

namespace scalio::fabric {

struct LoopbackTransport {
  static constexpr net::UriScheme kScheme = {"loop", true};
  static constexpr Atomics kAtomics = Atomics::cpu;
  static constexpr unsigned kDescriptors = 1;
  static Task<Result<std::unique_ptr<Connection>>> connect(EventLoop& loop, ConnectRequest request);
  static std::unique_ptr<TransportServer> serve(const Limits& limits);
};

// The server's end of one client.
class LoopbackPeer final : public NewcomerPeer {
 public:
  LoopbackPeer(LanePort& port, net::UniqueFd socket)
      : NewcomerPeer(port, "loop"),
        stream_(FrameStream::create(port.loop(), std::move(socket), *this,
                                    port.limits().of_a_stream())) {
    await_hello();
  }
  ~LoopbackPeer() override { stream_->stop(); }
  MessageStream& stream() override { return *stream_; }

 private:
  const std::shared_ptr<FrameStream> stream_;
};

class LoopbackServer final : public TransportServer {
 public:
  // What a client takes from here.
  struct Joined {
    net::UniqueFd socket;
    Mapping region;
    std::shared_ptr<const std::atomic<bool>> serving;
  };

  ~LoopbackServer() override { LoopbackServer::stop(); }
  Result<net::Uri> listen(const net::Uri& uri) override {
    const std::lock_guard lock(mutex());
    if (!all().emplace(uri.path, this).second) return Status(Code::busy, uri.text());
    return uri;
  }
  Status prepare(std::vector<LanePort*> ports) override {
    prepared_ = std::move(ports);
    return Status();
  }
  void start() override {
    const std::lock_guard lock(mutex());
    ports_ = prepared_;
  }
  void stop() override {
    const std::lock_guard lock(mutex());
    std::erase_if(all(), [this](const auto& entry) { return entry.second == this; });
    *serving_ = false;
  }

  static Result<Joined> join(const std::string& path, std::uint32_t lane) {
    const std::lock_guard lock(mutex());
    const auto found = all().find(path);
    if (found == all().end()) return Status(Code::unavailable, "nobody listens at " + path);
    return found->second->take(lane);
  }

 private:
  static std::mutex& mutex() {
    static std::mutex all;
    return all;
  }
  static std::map<std::string, LoopbackServer*>& all() {
    static std::map<std::string, LoopbackServer*> listening;
    return listening;
  }

  Result<Joined> take(std::uint32_t lane) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
      return Status(Code::unavailable, "no sockets");
    }
    Joined joined{net::UniqueFd(ends[0]), Mapping(), serving_};
    auto other = std::make_shared<net::UniqueFd>(ends[1]);
    if (ports_.empty()) {  // it only listens: who comes waits
      waiting_.push_back(std::move(other));
      return joined;
    }
    if (lane >= ports_.size()) return Status(Code::invalid, "there is no such lane");
    LanePort& port = *ports_[lane];
    Result<Mapping> region = map_region(port.region().fd(), port.region().span().size());
    if (!region.ok()) return region.status();
    joined.region = std::move(*region);
    port.hand_over([&port, other] {
      port.keep_newcomer(std::make_unique<LoopbackPeer>(port, std::move(*other)));
    });
    return joined;
  }

  std::vector<LanePort*> prepared_;
  std::vector<LanePort*> ports_;  // once it accepts
  std::vector<std::shared_ptr<net::UniqueFd>> waiting_;
  const std::shared_ptr<std::atomic<bool>> serving_ = std::make_shared<std::atomic<bool>>(true);
};

class LoopbackConnection final : public ClientConnection {
 public:
  using ClientConnection::ClientConnection;
  ~LoopbackConnection() override {
    lose(Status(Code::unavailable, "the connection was closed here"));
  }
  void begin(LoopbackServer::Joined joined, const ConnectRequest& request) {
    region_ = std::move(joined.region);
    serving_ = std::move(joined.serving);
    memory_ = OneSided(region_.span());
    ClientConnection::begin(
        FrameStream::create(loop_, std::move(joined.socket), *this, StreamLimits{}), request.lane,
        request.hello, request.deadline);
  }

 private:
  using ClientConnection::start;
  void start(Op& op) override {
    if (up() && !*serving_) lose(Status(Code::unavailable, "the server stops"));
    if (!up()) return op.complete(loop_, Code::unavailable);
    std::uint64_t result = 0;
    switch (op.kind) {
      case Op::Kind::read: memory_.read(op.offset, op.data, op.size); break;
      case Op::Kind::read_block:
        result = memory_.read_block(op.offset, *op.blocks, op.tag, op.data);
        break;
      case Op::Kind::write: memory_.write(op.offset, op.data, op.size); break;
      case Op::Kind::cas: result = memory_.cas(op.offset, op.expected, op.desired); break;
    }
    op.complete(loop_, Code::ok, result);
  }
  Status on_welcome(const Welcome&) override { return Status(); }
  std::optional<Nanos> oldest_op() const override { return std::nullopt; }
  void drop_ops() override {}

  Mapping region_;
  OneSided memory_{ByteSpan()};
  std::shared_ptr<const std::atomic<bool>> serving_;
};

inline Task<Result<std::unique_ptr<Connection>>> LoopbackTransport::connect(
    EventLoop& loop, ConnectRequest request) {
  Result<LoopbackServer::Joined> joined = LoopbackServer::join(request.uri.path, request.lane);
  if (!joined.ok()) co_return joined.status();
  auto connection =
      std::make_unique<LoopbackConnection>(loop, request.uri.text(), request.call_timeout);
  connection->begin(std::move(*joined), request);
  ConnectAttempt made = co_await settle(std::move(connection));
  co_return std::move(made.connection);
}

inline std::unique_ptr<TransportServer> LoopbackTransport::serve(const Limits&) {
  return std::make_unique<LoopbackServer>();
}

}  // namespace scalio::fabric
