// The server's end over TCP, bare or under TLS. One or more threads stand in for the NIC of all
// lanes: they execute one-sided operations on the regions, checking every address, and hand
// requests to the lanes' threads. A connection is one thread's; the first one takes them all, reads
// what each says first, and deals them out in turn. Their CPU time is reported apart, because with
// a real NIC it would not exist.
#include <fmt/format.h>

#include "fabric/server/socket_acceptor.h"
#include "fabric/server/transport_server.h"
#include "fabric/tcp/server/nic.h"
#include "fabric/tcp/server/tcp_lane.h"
#include "fabric/tcp/tcp_transport.h"
#include "task/io_thread.h"

namespace scalio::fabric {

namespace {

class TcpServer final : public TransportServer {
 public:
  TcpServer(const Limits& limits, bool under_tls)
      : limits_(limits), under_tls_(under_tls), tls_(under_tls ? limits.tls : nullptr) {}

  Result<net::Uri> listen(const net::Uri& uri) override {
    if (under_tls_ && !tls_) {
      return Status(Code::invalid,
                    fmt::format("{}: a server needs a certificate and its key (tls-cert, "
                                "tls-key), or pre-shared keys (tls-psk)",
                                uri.text()));
    }
    Result<net::Listener> listener = net::Listener::open(uri);
    if (!listener.ok()) return listener.status();
    listeners_.push_back(std::move(*listener));
    return listeners_.back().uri();
  }
  Status prepare(std::vector<LanePort*> ports) override {
    ports_ = std::move(ports);
    nic_lanes_ = std::vector<NicLane>(ports_.size());
    for (unsigned i = 0; i < limits_.nic_threads; ++i) {
      const std::string name = i == 0 ? "scalio-nic" : fmt::format("scalio-nic-{}", i);
      Result<std::unique_ptr<IoThread>> thread = IoThread::start(name.c_str(), limits_.spin);
      if (!thread.ok()) return thread.status();
      nics_.push_back(std::make_unique<NicThread>());
      nics_.back()->io = std::move(*thread);
    }
    return Status();
  }
  void start() override {
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      lanes_.push_back(std::make_unique<TcpLane>(*ports_[i]));
      nic_lanes_[i].region = ports_[i]->region().span();
      nic_lanes_[i].channel = NicChannel::create(
          ports_[i]->loop(), [lane = lanes_.back().get()](NicMessage& m) { lane->on_message(m); });
    }
    for (const auto& nic : nics_) {
      EventLoop& loop = nic->io->loop();
      nic->channel =
          NicChannel::create(loop, [n = nic.get()](NicMessage& m) { n->nic->on_message(m); });
      run_and_wait(loop, [&] {
        nic->nic =
            std::make_unique<Nic>(loop, nic_lanes_, nic->channel, ports_[0]->epoch(), limits_);
      });
    }
    EventLoop& first = nics_.front()->io->loop();
    run_and_wait(first, [&] {
      acceptor_ = std::make_unique<SocketAcceptor>(
          first, std::move(listeners_), ports_.size(), limits_, tls_,
          [this](std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
            on_hello(std::move(stream), name, hello);
          });
    });
  }
  // The first thread first, which hands connections to the others.
  void stop() override {
    run_and_wait(nics_.front()->io->loop(), [this] { acceptor_.reset(); });
    for (const auto& nic : nics_) {
      run_and_wait(nic->io->loop(), [&] {
        nic->channel->close();
        nic->nic.reset();
      });
      nic->io->stop();
    }
  }
  void leave(std::size_t lane) override { nic_lanes_[lane].channel->close(); }
  Nanos nic_cpu_time() const override {
    Nanos used = 0;
    for (const auto& nic : nics_) used += nic->io->cpu_time();
    return used;
  }
  Nanos nic_spun() const override {
    Nanos spun = 0;
    for (const auto& nic : nics_) spun += nic->io->loop().spin().spun();
    return spun;
  }

 private:
  struct NicThread {
    std::unique_ptr<IoThread> io;  // all of its TCP clients but their requests
    std::shared_ptr<NicChannel> channel;
    std::unique_ptr<Nic> nic;
  };

  // On the first thread.
  void on_hello(std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
    NicLane& lane = nic_lanes_[hello.lane];
    if (lane.links >= limits_.max_connections) {
      return refuse(
          *stream,
          Status(Code::busy, fmt::format("lane {} has {} connections already, which is the most",
                                         hello.lane, limits_.max_connections)));
    }
    NicThread& to = *nics_[turn_++ % nics_.size()];
    if (&to == nics_.front().get()) {
      ++lane.links;
      return to.nic->adopt(std::move(stream), name, hello);
    }
    Result<net::StreamSocket> socket = stream->release();
    // A failure means that it did not wait for an answer; its socket is closed then.
    if (!socket.ok()) return;
    ++lane.links;
    // In shared_ptrs, because what is run on a loop must be copyable.
    auto fd = std::make_shared<net::StreamSocket>(std::move(*socket));
    auto request = std::make_shared<Bytes>(hello.request.begin(), hello.request.end());
    to.io->loop().run_on_loop([&to, fd, name, number = hello.lane, request, who = hello.who] {
      to.nic->adopt(std::move(*fd), name, Hello{number, *request, who});
    });
  }

  const Limits limits_;
  const bool under_tls_;
  const std::shared_ptr<const net::TlsSource> tls_;  // null: bare
  std::vector<net::Listener> listeners_;
  std::vector<LanePort*> ports_;
  std::vector<NicLane> nic_lanes_;
  std::vector<std::unique_ptr<NicThread>> nics_;
  std::size_t turn_ = 0;
  std::unique_ptr<SocketAcceptor> acceptor_;     // on the first of them
  std::vector<std::unique_ptr<TcpLane>> lanes_;  // each used on its lane's thread
};

}  // namespace

std::unique_ptr<TransportServer> TcpTransport::serve(const Limits& limits) {
  return std::make_unique<TcpServer>(limits, false);
}

std::unique_ptr<TransportServer> TlsTransport::serve(const Limits& limits) {
  return std::make_unique<TcpServer>(limits, true);
}

}  // namespace scalio::fabric
