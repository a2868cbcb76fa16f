// The server's end over TCP. One thread stands in for the NIC of all lanes: it executes one-sided
// operations on the regions, checking every address, and hands requests to the lanes' threads. Its
// CPU time is reported apart, because with a real NIC it would not exist.
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
  explicit TcpServer(const Limits& limits) : limits_(limits) {}

  Result<net::Uri> listen(const net::Uri& uri) override {
    Result<net::Listener> listener = net::Listener::open(uri);
    if (!listener.ok()) return listener.status();
    listeners_.push_back(std::move(*listener));
    return listeners_.back().uri();
  }
  Status prepare(std::vector<LanePort*> ports) override {
    ports_ = std::move(ports);
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-nic");
    if (thread.ok()) thread_ = std::move(*thread);
    return thread.status();
  }
  void start() override {
    EventLoop& loop = thread_->loop();
    to_nic_ = NicChannel::create(loop, [this](NicMessage& m) { nic_->on_message(m); });
    std::vector<NicLane> nic_lanes;
    for (LanePort* port : ports_) {
      lanes_.push_back(std::make_unique<TcpLane>(*port, to_nic_));
      to_lanes_.push_back(NicChannel::create(
          port->loop(), [lane = lanes_.back().get()](NicMessage& m) { lane->on_message(m); }));
      nic_lanes.push_back({port->region().span(), to_lanes_.back()});
    }
    run_and_wait(loop, [&] {
      nic_ = std::make_unique<Nic>(loop, std::move(nic_lanes), ports_[0]->epoch(), limits_);
      acceptor_ = std::make_unique<SocketAcceptor>(
          loop, std::move(listeners_), ports_.size(), limits_,
          [this](std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
            nic_->adopt(std::move(stream), name, hello);
          });
    });
  }
  void stop() override {
    run_and_wait(thread_->loop(), [this] {
      acceptor_.reset();
      to_nic_->close();
      nic_.reset();
    });
    thread_->stop();
  }
  void leave(std::size_t lane) override { to_lanes_[lane]->close(); }
  Nanos nic_cpu_time() const override { return thread_->cpu_time(); }

 private:
  const Limits limits_;
  std::vector<net::Listener> listeners_;
  std::vector<LanePort*> ports_;
  std::unique_ptr<IoThread> thread_;  // everything of TCP clients but their requests
  std::unique_ptr<SocketAcceptor> acceptor_;
  std::unique_ptr<Nic> nic_;
  std::shared_ptr<NicChannel> to_nic_;
  std::vector<std::unique_ptr<TcpLane>> lanes_;  // each used on its lane's thread
  std::vector<std::shared_ptr<NicChannel>> to_lanes_;
};

}  // namespace

std::unique_ptr<TransportServer> TcpTransport::serve(const Limits& limits) {
  return std::make_unique<TcpServer>(limits);
}

}  // namespace scalio::fabric
