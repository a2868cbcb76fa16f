#include "fabric/server.h"

#include "fabric/acceptor.h"
#include "fabric/io_thread.h"
#include "fabric/nic.h"
#include "fabric/shard_port.h"
#include "fabric/socket.h"

namespace scalio::fabric {

struct Server::Impl {
  std::vector<ShardEndpoint> shards;
  Limits limits;
  std::vector<Uri> addresses;
  bool stopped = false;

  std::vector<std::unique_ptr<ShardPort>> ports;  // each used on its shard's thread
  // Accepts on Unix sockets; what it accepts is then the shards'.
  std::unique_ptr<IoThread> accept_thread;
  std::unique_ptr<Acceptor> unix_acceptor;
  // Everything of TCP clients but their requests.
  std::unique_ptr<IoThread> nic_thread;
  std::unique_ptr<Acceptor> tcp_acceptor;
  std::unique_ptr<Nic> nic;
  std::shared_ptr<MessageChannel> to_nic;
  std::vector<std::shared_ptr<MessageChannel>> to_shards;

  void start_unix(std::vector<Listener> listeners);
  void start_tcp(std::vector<Listener> listeners, std::uint64_t epoch);
  void stop();
};

Result<std::unique_ptr<Server>> Server::start(std::vector<ShardEndpoint> shards, std::uint64_t epoch,
                                              EpochFile& epoch_file, std::vector<Uri> listen, Limits limits) {
  SCALIO_ASSERT(!shards.empty() && epoch != 0);
  std::vector<Listener> unix_listeners, tcp_listeners;
  std::vector<Uri> addresses;
  for (const Uri& uri : listen) {
    Result<Listener> listener = Listener::open(uri);
    if (!listener.ok()) return listener.status();
    addresses.push_back(listener->uri());
    auto& list = uri.scheme == Uri::Scheme::unix_socket ? unix_listeners : tcp_listeners;
    list.push_back(std::move(*listener));
  }

  // Everything that can fail comes before the first connection is accepted.
  std::unique_ptr<IoThread> accept_thread, nic_thread;
  if (!unix_listeners.empty()) {
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-accept");
    if (!thread.ok()) return thread.status();
    accept_thread = std::move(*thread);
  }
  if (!tcp_listeners.empty()) {
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-nic");
    if (!thread.ok()) return thread.status();
    nic_thread = std::move(*thread);
  }

  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>()));
  Impl& impl = *server->impl_;
  impl.shards = std::move(shards);
  impl.limits = limits;
  impl.addresses = std::move(addresses);
  for (std::uint32_t i = 0; i < impl.shards.size(); ++i) {
    impl.ports.push_back(
        std::make_unique<ShardPort>(i, impl.shards[i], epoch, epoch_file.read_only_fd(), limits));
  }
  impl.accept_thread = std::move(accept_thread);
  impl.nic_thread = std::move(nic_thread);
  if (impl.accept_thread) impl.start_unix(std::move(unix_listeners));
  if (impl.nic_thread) impl.start_tcp(std::move(tcp_listeners), epoch);
  return server;
}

void Server::Impl::start_unix(std::vector<Listener> listeners) {
  const auto on_hello = [this](std::shared_ptr<FrameStream> stream, const std::string& name,
                               const Hello& hello) {
    ShardPort& port = *ports[hello.shard];
    if (!port.room()) return refuse(*stream, Status(Code::busy, "too many clients are connecting"));
    Result<UniqueFd> socket = stream->release();
    // A failure means that it did not wait for an answer; its socket is closed then.
    if (socket.ok()) port.hand_over(std::move(*socket), name, hello.request);
  };
  run_and_wait(accept_thread->loop(), [&] {
    unix_acceptor = std::make_unique<Acceptor>(accept_thread->loop(), std::move(listeners), shards.size(),
                                               limits, on_hello);
  });
}

void Server::Impl::start_tcp(std::vector<Listener> listeners, std::uint64_t epoch) {
  EventLoop& loop = nic_thread->loop();
  to_nic = MessageChannel::create(loop, [this](Message& m) { nic->on_message(m); });
  std::vector<Nic::Shard> nic_shards;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    ShardPort* port = ports[i].get();
    port->set_nic(to_nic);
    to_shards.push_back(MessageChannel::create(*shards[i].loop, [port](Message& m) { port->on_message(m); }));
    nic_shards.push_back({shards[i].region->span(), to_shards.back()});
  }
  run_and_wait(loop, [&] {
    nic = std::make_unique<Nic>(loop, std::move(nic_shards), epoch, limits);
    tcp_acceptor = std::make_unique<Acceptor>(
        loop, std::move(listeners), shards.size(), limits,
        [this](std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
          nic->adopt(std::move(stream), name, hello);
        });
  });
}

// From the outside in: who takes connections first, so that nothing new reaches the shards, then the shards.
void Server::Impl::stop() {
  if (std::exchange(stopped, true)) return;
  if (accept_thread) {
    run_and_wait(accept_thread->loop(), [this] { unix_acceptor.reset(); });
    accept_thread->stop();
  }
  if (nic_thread) {
    run_and_wait(nic_thread->loop(), [this] {
      tcp_acceptor.reset();
      to_nic->close();
      nic.reset();
    });
    nic_thread->stop();
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    run_and_wait(*shards[i].loop, [this, i] {
      ports[i]->stop("the server stops");
      if (i < to_shards.size()) to_shards[i]->close();
    });
  }
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { stop(); }
void Server::stop() { impl_->stop(); }
std::vector<Uri> Server::addresses() const { return impl_->addresses; }
Nanos Server::nic_cpu_time() const { return impl_->nic_thread ? impl_->nic_thread->cpu_time() : 0; }

}  // namespace scalio::fabric
