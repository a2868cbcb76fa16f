#include "fabric/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "fabric/acceptor.h"
#include "fabric/rdma/verbs_acceptor.h"
#include "fabric/shard_port.h"
#include "fabric/tcp/nic.h"
#include "net/socket.h"
#include "task/io_thread.h"

namespace scalio::fabric {

namespace {

// What listens, by transport.
struct Listeners {
  std::vector<net::Listener> local;
  std::vector<net::Listener> tcp;
  std::vector<VerbsListener> rdma;
  std::vector<net::Uri> addresses;  // all, in their order
};

bool is_rdma(const net::Uri& uri) { return uri.scheme == net::Uri::Scheme::rdma; }

Status check_together(const std::vector<net::Uri>& listen) {
  if (std::ranges::any_of(listen, is_rdma) && !std::ranges::all_of(listen, is_rdma)) {
    return Status(
        Code::invalid,
        "rdma: cannot be served beside unix: or tcp:, because a NIC's compare-and-swap is not "
        "atomic "
        "with the CPU's; listen either at rdma: addresses only, or at unix: and tcp: only");
  }
  for (auto uri = listen.begin(); uri != listen.end(); ++uri) {
    const bool picked = uri->scheme != net::Uri::Scheme::unix_socket && uri->port == 0;
    if (!picked && std::find(listen.begin(), uri, *uri) != uri) {
      return Status(Code::invalid, fmt::format("{} is given more than once", uri->text()));
    }
  }
  return Status();
}

Result<Listeners> open_listeners(const std::vector<net::Uri>& uris) {
  if (Status s = check_together(uris); !s.ok()) return s;
  Listeners all;
  for (const net::Uri& uri : uris) {
    if (is_rdma(uri)) {
      Result<VerbsListener> listener = VerbsListener::open(uri);
      if (!listener.ok()) return listener.status();
      if (!all.rdma.empty() && listener->device() != all.rdma[0].device()) {
        return Status(
            Code::invalid,
            fmt::format("{} and {} are of two RDMA devices, and compare-and-swaps are atomic only "
                        "within one; listen at addresses of one",
                        all.rdma[0].uri().text(), uri.text()));
      }
      all.addresses.push_back(listener->uri());
      all.rdma.push_back(std::move(*listener));
    } else {
      Result<net::Listener> listener = net::Listener::open(uri);
      if (!listener.ok()) return listener.status();
      all.addresses.push_back(listener->uri());
      auto& list = uri.scheme == net::Uri::Scheme::unix_socket ? all.local : all.tcp;
      list.push_back(std::move(*listener));
    }
  }
  return all;
}

Result<VerbsRegion> register_region(ibv_context* device, ByteSpan region) {
  VerbsRegion r;
  r.domain.reset(ibv_alloc_pd(device));
  if (!r.domain) return net::verbs_failure("make a protection domain", errno);
  constexpr int kAccess = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                          IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
  Result<net::Registration> registration = net::register_memory(r.domain.get(), region, kAccess);
  if (!registration.ok()) return registration.status();
  r.registration = std::move(*registration);
  return r;
}

}  // namespace

Status check_listen(const std::vector<net::Uri>& listen) { return open_listeners(listen).status(); }

struct Server::Impl {
  std::vector<ShardEndpoint> shards;
  Limits limits;
  std::vector<net::Uri> addresses;
  bool stopped = false;

  std::vector<std::unique_ptr<ShardPort>> ports;  // each used on its shard's thread
  // Accepts on Unix sockets, or by RDMA; what it accepts is then the shards'.
  std::unique_ptr<IoThread> accept_thread;
  std::unique_ptr<Acceptor> unix_acceptor;
  std::unique_ptr<VerbsAcceptor> verbs_acceptor;
  // Everything of TCP clients but their requests.
  std::unique_ptr<IoThread> nic_thread;
  std::unique_ptr<Acceptor> tcp_acceptor;
  std::unique_ptr<Nic> nic;
  std::shared_ptr<MessageChannel> to_nic;
  std::vector<std::shared_ptr<MessageChannel>> to_shards;

  void start_unix(std::vector<net::Listener> listeners);
  void start_tcp(std::vector<net::Listener> listeners, std::uint64_t epoch);
  void start_rdma(std::vector<VerbsListener> listeners, std::vector<VerbsRegion> regions);
  void stop();
};

Result<std::unique_ptr<Server>> Server::start(std::vector<ShardEndpoint> shards,
                                              std::uint64_t epoch, EpochFile& epoch_file,
                                              std::vector<net::Uri> listen, Limits limits) {
  SCALIO_ASSERT(!shards.empty() && epoch != 0);
  Result<Listeners> listeners = open_listeners(listen);
  if (!listeners.ok()) return listeners.status();

  // Everything that can fail comes before the first connection is accepted.
  std::vector<VerbsRegion> regions;
  if (!listeners->rdma.empty()) {
    for (const ShardEndpoint& shard : shards) {
      Result<VerbsRegion> region =
          register_region(listeners->rdma[0].device(), shard.region->span());
      if (!region.ok()) return region.status();
      regions.push_back(std::move(*region));
    }
  }
  std::unique_ptr<IoThread> accept_thread, nic_thread;
  if (!listeners->local.empty() || !listeners->rdma.empty()) {
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-accept");
    if (!thread.ok()) return thread.status();
    accept_thread = std::move(*thread);
  }
  if (!listeners->tcp.empty()) {
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-nic");
    if (!thread.ok()) return thread.status();
    nic_thread = std::move(*thread);
  }

  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>()));
  Impl& impl = *server->impl_;
  impl.shards = std::move(shards);
  impl.limits = limits;
  impl.addresses = std::move(listeners->addresses);
  for (std::uint32_t i = 0; i < impl.shards.size(); ++i) {
    impl.ports.push_back(
        std::make_unique<ShardPort>(i, impl.shards[i], epoch, epoch_file.read_only_fd(), limits));
  }
  impl.accept_thread = std::move(accept_thread);
  impl.nic_thread = std::move(nic_thread);
  if (!listeners->local.empty()) impl.start_unix(std::move(listeners->local));
  if (!listeners->tcp.empty()) impl.start_tcp(std::move(listeners->tcp), epoch);
  if (!listeners->rdma.empty()) impl.start_rdma(std::move(listeners->rdma), std::move(regions));
  return server;
}

void Server::Impl::start_unix(std::vector<net::Listener> listeners) {
  const auto on_hello = [this](std::shared_ptr<FrameStream> stream, const std::string& name,
                               const Hello& hello) {
    ShardPort& port = *ports[hello.shard];
    if (!port.room()) return refuse(*stream, Status(Code::busy, "too many clients are connecting"));
    Result<net::UniqueFd> socket = stream->release();
    // A failure means that it did not wait for an answer; its socket is closed then.
    if (socket.ok()) port.hand_over(std::move(*socket), name, hello.request);
  };
  run_and_wait(accept_thread->loop(), [&] {
    unix_acceptor = std::make_unique<Acceptor>(accept_thread->loop(), std::move(listeners),
                                               shards.size(), limits, on_hello);
  });
}

void Server::Impl::start_tcp(std::vector<net::Listener> listeners, std::uint64_t epoch) {
  EventLoop& loop = nic_thread->loop();
  to_nic = MessageChannel::create(loop, [this](Message& m) { nic->on_message(m); });
  std::vector<Nic::Shard> nic_shards;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    ShardPort* port = ports[i].get();
    port->set_nic(to_nic);
    to_shards.push_back(
        MessageChannel::create(*shards[i].loop, [port](Message& m) { port->on_message(m); }));
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

void Server::Impl::start_rdma(std::vector<VerbsListener> listeners,
                              std::vector<VerbsRegion> regions) {
  std::vector<ShardPort*> all;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    ports[i]->offer_rdma(std::move(regions[i]));
    all.push_back(ports[i].get());
  }
  run_and_wait(accept_thread->loop(), [&] {
    verbs_acceptor = std::make_unique<VerbsAcceptor>(accept_thread->loop(), std::move(listeners),
                                                     std::move(all));
  });
}

// From the outside in: who takes connections first, so that nothing new reaches the shards, then
// the shards.
void Server::Impl::stop() {
  if (std::exchange(stopped, true)) return;
  if (accept_thread) {
    run_and_wait(accept_thread->loop(), [this] {
      unix_acceptor.reset();
      verbs_acceptor.reset();
    });
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
std::vector<net::Uri> Server::addresses() const { return impl_->addresses; }
Nanos Server::nic_cpu_time() const { return impl_->nic_thread ? impl_->nic_thread->cpu_time() : 0; }

}  // namespace scalio::fabric
