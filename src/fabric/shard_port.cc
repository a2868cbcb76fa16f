#include "fabric/shard_port.h"

#include <fmt/format.h>

#include "fabric/acceptor.h"
#include "fabric/frame_stream.h"
#include "fabric/rdma/verbs_handshake.h"
#include "fabric/rdma/verbs_stream.h"

namespace scalio::fabric {

namespace {
// A machine that lost its power never says that its connections are gone: its NIC is asked so
// often. What is asked is answered, or given up, within seconds.
constexpr Nanos kProbeRdma = 30 * kSecond;
}  // namespace

// A peer of any transport.
class ServerPeer : public Peer {
 public:
  ServerPeer(ShardPort& port, std::string name) : port_(port), name_(std::move(name)) {}
  virtual ~ServerPeer() = default;
  const std::string& name() const override { return name_; }
  void close(std::string reason) override {
    port_.log_.warn(port_.loop().now(), fmt::format("{}: closed: {}", name_, reason));
    end(reason);
  }
  // Ends the connection; unless the peer is destroyed first, ShardPort::forget follows, later.
  virtual void end(const std::string& reason) = 0;

 protected:
  ShardPort& port_;

 private:
  const std::string name_;
};

// A peer whose stream the shard's thread has.
class StreamPeer : public ServerPeer, protected MessageStream::Handler {
 public:
  using ServerPeer::ServerPeer;

  void reply(std::uint64_t call, ByteView payload) override {
    SCALIO_ASSERT(calls_ > 0);
    --calls_;
    stream().send(FrameKind::reply, call, payload);
  }
  void end(const std::string& reason) override { stream().fail(Status(Code::unavailable, reason)); }

 protected:
  virtual MessageStream& stream() = 0;

  void welcome(ByteView answer) {
    stream().send(FrameKind::welcome, 0,
                  encode(Welcome{port_.endpoint_.region->span().size(), port_.epoch_, answer}));
  }
  void on_frame(const Frame& frame) override {
    if (frame.kind != FrameKind::request) {
      return stream().fail(Status(
          Code::invalid,
          fmt::format("it said {}, which its clients do not say here", to_string(frame.kind))));
    }
    if (calls_ == kMaxCalls) {
      return stream().fail(
          Status(Code::invalid, fmt::format("more than {} calls in flight", kMaxCalls)));
    }
    ++calls_;
    port_.endpoint_.service->on_request(*this, frame.id, frame.payload);
  }
  void on_lost(const Status& why) override {
    log_end(why);
    port_.forget(*this);  // deletes this
  }
  void log_end(const Status& why) {
    if (why.code() == Code::unavailable) return;
    port_.log_.warn(port_.loop().now(), fmt::format("{}: disconnected: {}", name(), why.message()));
  }

 private:
  std::size_t calls_ = 0;  // not replied to
};

class UnixPeer final : public StreamPeer {
 public:
  UnixPeer(ShardPort& port, std::string name, net::UniqueFd socket)
      : StreamPeer(port, std::move(name)),
        stream_(FrameStream::create(port.loop(), std::move(socket), *this,
                                    stream_limits(port.limits_))) {}
  ~UnixPeer() override { stream_->stop(); }

  FrameStream& stream() override { return *stream_; }
  void welcome(ByteView answer) {
    stream_->attach({port_.endpoint_.region->fd(), port_.epoch_fd_});
    StreamPeer::welcome(answer);
  }

 private:
  const std::shared_ptr<FrameStream> stream_;
};

// An RDMA client. Its one-sided operations are its and the NIC's affair; here are its messages,
// first of all the hello.
class VerbsPeer final : public StreamPeer {
 public:
  VerbsPeer(ShardPort& port, std::string name)
      : StreamPeer(port, std::move(name)),
        hello_timeout_(
            port.loop(),
            [this] { stream_->fail(Status(Code::timed_out, "it did not say hello in time")); }),
        probe_(port.loop(), [this] {
          stream_->probe();
          probe_.arm(port_.loop().now() + kProbeRdma);
        }) {}
  ~VerbsPeer() override {
    if (stream_) stream_->stop();
  }

  Status accept(net::VerbsRequest request) {
    const ibv_mr& region = *port_.verbs_region_.registration;
    const VerbsAccept answer{region.rkey, reinterpret_cast<std::uintptr_t>(region.addr),
                             region.length};
    auto stream =
        VerbsStream::accept(port_.loop(), std::move(request), port_.verbs_region_.domain.get(),
                            encode(answer), *this, stream_limits(port_.limits_));
    if (!stream.ok()) return stream.status();
    stream_ = std::move(*stream);
    hello_timeout_.arm(port_.loop().now() + port_.limits_.hello_timeout);
    return Status();
  }
  MessageStream& stream() override { return *stream_; }
  // Not waited for: on_lost follows when it has been told, or does not take it.
  void refuse(const Status& why) {
    stream_->send(FrameKind::refused, 0, encode_refused(why));
    stream_->fail(Status(Code::unavailable, "it was refused"));
  }
  void welcome(ByteView answer) {
    welcomed_ = true;
    hello_timeout_.cancel();
    probe_.arm(port_.loop().now() + kProbeRdma);
    StreamPeer::welcome(answer);
  }

 private:
  void on_frame(const Frame& frame) override {
    if (welcomed_) return StreamPeer::on_frame(frame);
    if (frame.kind != FrameKind::hello) {
      return stream_->fail(
          Status(Code::invalid, fmt::format("it said {} instead of hello", to_string(frame.kind))));
    }
    const Result<Hello> hello = decode_hello(frame.payload);
    if (!hello.ok()) return stream_->fail(hello.status());
    if (hello->shard != port_.shard_) {
      return stream_->fail(Status(Code::invalid, "it asked for one shard and greets another"));
    }
    port_.greet(*this, hello->request);
  }
  void on_lost(const Status& why) override {
    if (welcomed_) return StreamPeer::on_lost(why);
    log_end(why);
    port_.newcomers_.erase(this);  // deletes this
  }

  std::shared_ptr<VerbsStream> stream_;
  bool welcomed_ = false;
  Timer hello_timeout_;
  Timer probe_;
};

class TcpPeer final : public ServerPeer {
 public:
  TcpPeer(ShardPort& port, std::shared_ptr<Link> link)
      : ServerPeer(port, link->name), link_(std::move(link)) {
    link_->peer = this;
  }
  ~TcpPeer() override { link_->peer = nullptr; }

  void reply(std::uint64_t call, ByteView payload) override {
    SCALIO_ASSERT(payload.size() <= kMaxMessage);
    send(*port_.nic_, Message::Kind::reply, link_, call, payload);
  }
  // The NIC answers with gone; until then the service has the peer, but hears nothing from it.
  void end(const std::string& reason) override {
    if (std::exchange(closing_, true)) return;
    send(*port_.nic_, Message::Kind::close, link_, 0, as_bytes(reason));
  }
  void on_request(std::uint64_t call, ByteView request) {
    if (!closing_) port_.endpoint_.service->on_request(*this, call, request);
  }

 private:
  const std::shared_ptr<Link> link_;
  bool closing_ = false;
};

ShardPort::ShardPort(std::uint32_t shard, ShardEndpoint endpoint, std::uint64_t epoch, int epoch_fd,
                     const Limits& limits)
    : shard_(shard), endpoint_(endpoint), epoch_(epoch), epoch_fd_(epoch_fd), limits_(limits) {}

ShardPort::~ShardPort() { SCALIO_ASSERT(peers_.empty() && newcomers_.empty()); }

void ShardPort::hand_over(net::UniqueFd socket, const std::string& name, ByteView request) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  // In shared_ptrs, because what is run on a loop must be copyable.
  auto fd = std::make_shared<net::UniqueFd>(std::move(socket));
  auto bytes = std::make_shared<Bytes>(request.begin(), request.end());
  endpoint_.loop->run_on_loop([this, fd, name, bytes] {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    admit_unix(std::move(*fd), name, *bytes);
  });
}

void ShardPort::hand_over(net::VerbsRequest request) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  auto shared = std::make_shared<net::VerbsRequest>(std::move(request));
  endpoint_.loop->run_on_loop([this, shared] {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    admit_verbs(std::move(*shared));
  });
}

void ShardPort::admit_unix(net::UniqueFd socket, std::string name, ByteView request) {
  auto peer = std::make_unique<UnixPeer>(*this, std::move(name), std::move(socket));
  Result<Bytes> answer = ask_service(*peer, request);
  if (!answer.ok()) return refuse(peer->stream(), answer.status());
  peer->welcome(*answer);
  peers_.emplace(peer.get(), std::move(peer));
}

void ShardPort::admit_tcp(const std::shared_ptr<Link>& link, ByteView request) {
  auto peer = std::make_unique<TcpPeer>(*this, link);
  Result<Bytes> answer = ask_service(*peer, request);
  if (!answer.ok()) {
    send(*nic_, Message::Kind::refused, link, 0, encode_refused(answer.status()));
    return;
  }
  send(*nic_, Message::Kind::welcome, link, 0, *answer);
  peers_.emplace(peer.get(), std::move(peer));
}

void ShardPort::admit_verbs(net::VerbsRequest request) {
  if (newcomers_.size() >= limits_.max_connections) {
    const Status why(Code::busy, "too many clients are connecting");
    log_.warn(loop().now(), fmt::format("{}: refused: {}", request.name, why.message()));
    return net::reject(request.id.get(), encode_reject(why));
  }
  auto peer = std::make_unique<VerbsPeer>(*this, request.name);
  if (Status s = peer->accept(std::move(request)); !s.ok()) {
    return log_.warn(loop().now(), fmt::format("{}: not accepted: {}", peer->name(), s.message()));
  }
  newcomers_.emplace(peer.get(), std::move(peer));
}

void ShardPort::greet(VerbsPeer& newcomer, ByteView request) {
  Result<Bytes> answer = ask_service(newcomer, request);
  if (!answer.ok()) return newcomer.refuse(answer.status());
  std::unique_ptr<VerbsPeer> peer = std::move(newcomers_.extract(&newcomer).mapped());
  peer->welcome(*answer);
  peers_.emplace(peer.get(), std::move(peer));
}

Result<Bytes> ShardPort::ask_service(ServerPeer& peer, ByteView request) {
  Result<Bytes> answer = Status(
      Code::busy,
      fmt::format("shard {} has {} connections already, which is the most", shard_, peers_.size()));
  if (peers_.size() < limits_.max_connections) answer = endpoint_.service->on_hello(peer, request);
  SCALIO_ASSERT(!answer.ok() || answer->size() <= kMaxMessage);
  if (!answer.ok()) {
    log_.warn(loop().now(), fmt::format("{}: refused: {}", peer.name(), answer.status().message()));
  }
  return answer;
}

void ShardPort::on_message(Message& message) {
  TcpPeer* peer = message.link->peer;
  switch (message.kind) {
    case Message::Kind::hello: return admit_tcp(message.link, message.payload);
    case Message::Kind::request:
      if (peer != nullptr) peer->on_request(message.id, message.payload);
      return;
    case Message::Kind::gone:
      if (peer != nullptr) forget(*peer);
      send(*nic_, Message::Kind::released, message.link);
      return;
    default: SCALIO_ASSERT(false);
  }
}

void ShardPort::forget(ServerPeer& peer) {
  // Off the list first: the service may look for other peers.
  auto node = peers_.extract(&peer);
  SCALIO_ASSERT(!node.empty());
  endpoint_.service->on_disconnect(peer);
}

void ShardPort::stop(const std::string& reason) {
  // Each is told before the first is forgotten: their NICs take it at the same time.
  for (auto& [newcomer, owner] : newcomers_) newcomer->end(reason);
  for (auto& [peer, owner] : peers_) peer->end(reason);
  newcomers_.clear();
  while (!peers_.empty()) forget(*peers_.begin()->first);
}

}  // namespace scalio::fabric
