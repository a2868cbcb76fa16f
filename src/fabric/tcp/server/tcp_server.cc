// The server's end over TCP. One thread stands in for the NIC of all shards: it executes one-sided
// operations on the regions, checking every address, and hands requests to the shards' threads. Its
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
  Status prepare(std::vector<ShardPort*> ports) override {
    ports_ = std::move(ports);
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-nic");
    if (thread.ok()) thread_ = std::move(*thread);
    return thread.status();
  }
  void start() override {
    EventLoop& loop = thread_->loop();
    to_nic_ = NicChannel::create(loop, [this](NicMessage& m) { nic_->on_message(m); });
    std::vector<NicShard> nic_shards;
    for (ShardPort* port : ports_) {
      shards_.push_back(std::make_unique<TcpShard>(*port, to_nic_));
      to_shards_.push_back(NicChannel::create(
          port->loop(), [shard = shards_.back().get()](NicMessage& m) { shard->on_message(m); }));
      nic_shards.push_back({port->region().span(), to_shards_.back()});
    }
    run_and_wait(loop, [&] {
      nic_ = std::make_unique<Nic>(loop, std::move(nic_shards), ports_[0]->epoch(), limits_);
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
  void leave(std::size_t shard) override { to_shards_[shard]->close(); }
  Nanos nic_cpu_time() const override { return thread_->cpu_time(); }

 private:
  const Limits limits_;
  std::vector<net::Listener> listeners_;
  std::vector<ShardPort*> ports_;
  std::unique_ptr<IoThread> thread_;  // everything of TCP clients but their requests
  std::unique_ptr<SocketAcceptor> acceptor_;
  std::unique_ptr<Nic> nic_;
  std::shared_ptr<NicChannel> to_nic_;
  std::vector<std::unique_ptr<TcpShard>> shards_;  // each used on its shard's thread
  std::vector<std::shared_ptr<NicChannel>> to_shards_;
};

}  // namespace

std::unique_ptr<TransportServer> TcpTransport::serve(const Limits& limits) {
  return std::make_unique<TcpServer>(limits);
}

}  // namespace scalio::fabric
