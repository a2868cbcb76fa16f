#include "nvmf/target/embedded_target.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>

#include <bit>
#include <deque>
#include <optional>
#include <utility>

#include "layout/superblock.h"
#include "net/socket.h"
#include "nvmf/target/subsystem.h"
#include "nvmf/wire/discovery_log.h"
#include "task/io_thread.h"

namespace scalio::nvmf {

namespace {

constexpr Nanos kRetryAccept = 100 * kMillisecond;
// How often stop() looks whether devices are done.
constexpr Nanos kStopPoll = kMillisecond;

bool between(std::uint64_t n, std::uint64_t least, std::uint64_t most) {
  return n >= least && n <= most;
}

Status check(const TargetOptions& o) {
  const auto invalid = [](std::string what) { return Status(Code::invalid, std::move(what)); };
  const TargetLimits& l = o.limits;
  if (o.namespaces.empty())
    return invalid("no namespace is given: a target needs a file or block device");
  if (o.listen.empty()) return invalid("no address to listen at is given");
  for (const net::Uri& uri : o.listen) {
    if (uri.scheme != net::kTcp) return invalid(uri.text() + ": NVMe/TCP listens at tcp:HOST:PORT");
  }
  if (!o.nqn.empty()) {
    if (Status s = check_nqn(o.nqn); !s.ok()) return s;
    if (o.nqn == kDiscoveryNqn)
      return invalid(o.nqn + " is the discovery service's name, not a subsystem's");
  }
  for (const std::string& host : o.allowed_hosts) {
    if (Status s = check_nqn(host); !s.ok()) return s;
  }
  if (!o.allowed_hosts.empty() && !o.secrets.empty())
    return invalid("hosts are allowed by their names or by their secrets, not both");
  if (!between(l.max_connections, 1, 262144) || !between(l.max_io_queues, 1, 1024) ||
      !between(l.queue_depth, 2, 4096) || !std::has_single_bit(l.max_transfer) ||
      !between(l.max_transfer, 8192, BufferPool::kMaxBuffer) || l.max_pdu_data % 4 != 0 ||
      !between(l.max_pdu_data, kInCapsuleData, 256 * 1024) || l.max_in_flight == 0 ||
      l.connect_timeout == 0 || l.stall_timeout == 0 || l.unused_timeout == 0 ||
      !between(o.threads, 1, TargetOptions::kMaxThreads) || o.spin > Spin::kMostBound) {
    return invalid("a limit of the target is out of its range");
  }
  return Status();
}

// What the discovery log says of a listening socket.
TargetPort port_of(const net::Listener& listener) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  TargetPort port;
  port.port = listener.uri().port;
  const int rc = getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&storage), &size);
  SCALIO_ASSERT(rc == 0);
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET6) {
    port.family = AddressFamily::ipv6;
    const in6_addr& a = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    if (!IN6_IS_ADDR_UNSPECIFIED(&a)) port.address = inet_ntop(AF_INET6, &a, text, sizeof text);
    int v6_only = 0;
    socklen_t option = sizeof v6_only;
    const int got = getsockopt(listener.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &option);
    SCALIO_ASSERT(got == 0);
    port.both_families = v6_only == 0;
  } else {
    const in_addr& a = reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
    if (a.s_addr != INADDR_ANY) port.address = inet_ntop(AF_INET, &a, text, sizeof text);
  }
  return port;
}

// A listening socket on the loop: each connection goes to the subsystem.
class HostAcceptor {
 public:
  HostAcceptor(EventLoop& loop, net::Listener listener, Subsystem& subsystem)
      : loop_(loop),
        listener_(std::move(listener)),
        subsystem_(subsystem),
        retry_(loop, [this] { accept(); }),
        watch_(loop, listener_.fd(), POLLIN, [this](std::uint32_t) { accept(); }) {}

 private:
  void accept() {
    for (;;) {
      Result<net::Listener::Accepted> accepted = listener_.accept();
      if (accepted.ok()) {
        subsystem_.adopt(std::move(accepted->fd), std::move(accepted->name), accepted->place);
        continue;
      }
      if (accepted.code() == Code::busy) {
        subsystem_.log().warn(loop_.now(),
                              listener_.uri().text() + ": " + accepted.status().message());
        retry_.arm(loop_.now() + kRetryAccept);
      }
      return;
    }
  }

  EventLoop& loop_;
  net::Listener listener_;
  Subsystem& subsystem_;
  Timer retry_;
  Watch watch_;
};

}  // namespace

struct EmbeddedTarget::Impl {
  // One thread, and what is used and destroyed on it.
  struct Serving {
    std::unique_ptr<IoThread> io;
    std::unique_ptr<Subsystem> subsystem;
  };
  explicit Impl(std::size_t count) : threads(count), serving(count) {}
  ~Impl() { stop(); }

  TargetThreads threads;
  std::vector<Serving> serving;
  std::deque<HostAcceptor> acceptors;  // on the first thread
  std::vector<net::Uri> addresses;
  std::string nqn;
  std::vector<Offer> offers;
  AllowedHosts hosts;

  Status begin(Nanos spin);
  Status open(std::size_t thread, const TargetOptions& options,
              const std::vector<TargetPort>& ports);
  Task<Status> open_on_thread(std::size_t thread, const TargetOptions& options,
                              const std::vector<TargetPort>& ports);
  void accept(std::vector<net::Listener> listeners);
  void stop();
  Task<Status> close_on_thread(std::size_t thread);
};

Result<std::unique_ptr<EmbeddedTarget>> EmbeddedTarget::start(TargetOptions options) {
  if (Status s = check(options); !s.ok()) return s;
  std::vector<net::Listener> listeners;
  std::vector<TargetPort> ports;
  for (const net::Uri& uri : options.listen) {
    Result<net::Listener> listener = net::Listener::open(uri);
    if (!listener.ok()) return listener.status();
    ports.push_back(port_of(*listener));
    listeners.push_back(std::move(*listener));
  }
  auto impl = std::make_unique<Impl>(options.threads);
  impl->hosts.names = std::move(options.allowed_hosts);
  if (!options.secrets.empty())
    impl->hosts.secrets = std::make_shared<const HostSecrets>(std::move(options.secrets));
  for (const net::Listener& listener : listeners) impl->addresses.push_back(listener.uri());
  if (Status s = impl->begin(options.spin); !s.ok()) return s;
  for (std::size_t i = 0; i < impl->serving.size(); ++i) {
    if (Status s = impl->open(i, options, ports); !s.ok()) return s;
  }
  impl->accept(std::move(listeners));
  return std::unique_ptr<EmbeddedTarget>(new EmbeddedTarget(std::move(impl)));
}

Status EmbeddedTarget::Impl::begin(Nanos spin) {
  for (std::size_t i = 0; i < serving.size(); ++i) {
    const std::string name = i == 0 ? "scalio-nvmf" : fmt::format("scalio-nvmf-{}", i);
    Result<std::unique_ptr<IoThread>> io = IoThread::start(name.c_str(), spin);
    if (!io.ok()) return io.status();
    serving[i].io = std::move(*io);
  }
  return Status();
}

Status EmbeddedTarget::Impl::open(std::size_t thread, const TargetOptions& options,
                                  const std::vector<TargetPort>& ports) {
  return begin_on_loop(serving[thread].io->loop(),
                       [&] { return open_on_thread(thread, options, ports); })
      .get();
}

Task<Status> EmbeddedTarget::Impl::open_on_thread(std::size_t thread, const TargetOptions& options,
                                                  const std::vector<TargetPort>& ports) {
  EventLoop& loop = serving[thread].io->loop();
  Result<NamespaceTable> table =
      co_await NamespaceTable::open(loop, options.namespaces, options.writable);
  if (!table.ok()) co_return table.status();
  if (thread == 0) {
    for (const auto& n : table->all()) {
      offers.push_back({n->nsid, n->device->name(),
                        layout::to_string(load<layout::Uuid>(n->id.uuid.data())), n->device->size(),
                        n->device->block_size()});
    }
    nqn = options.nqn.empty() ? table->default_nqn() : options.nqn;
  }
  serving[thread].subsystem =
      std::make_unique<Subsystem>(loop, threads, thread, std::move(*table), nqn, hosts,
                                  options.writable, options.limits, ports);
  co_return Status();
}

void EmbeddedTarget::Impl::accept(std::vector<net::Listener> listeners) {
  EventLoop& loop = serving[0].io->loop();
  run_and_wait(loop, [&] {
    for (net::Listener& listener : listeners) {
      acceptors.emplace_back(loop, std::move(listener), *serving[0].subsystem);
    }
  });
}

Task<Status> EmbeddedTarget::Impl::close_on_thread(std::size_t thread) {
  if (thread == 0) acceptors.clear();
  Subsystem& subsystem = *serving[thread].subsystem;
  subsystem.close_all();
  while (subsystem.closing() > 0) co_await serving[thread].io->loop().sleep(kStopPoll);
  co_return Status();
}

// The first thread first, which hands connections to the others.
void EmbeddedTarget::Impl::stop() {
  for (std::size_t i = 0; i < serving.size(); ++i) {
    if (!serving[i].subsystem) continue;
    begin_on_loop(serving[i].io->loop(), [this, i] { return close_on_thread(i); }).wait();
  }
  for (Serving& one : serving) {
    if (one.subsystem) run_and_wait(one.io->loop(), [&] { one.subsystem.reset(); });
    if (one.io) one.io->stop();
  }
}

EmbeddedTarget::EmbeddedTarget(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EmbeddedTarget::~EmbeddedTarget() = default;

void EmbeddedTarget::stop() { impl_->stop(); }

const std::vector<net::Uri>& EmbeddedTarget::addresses() const { return impl_->addresses; }

const std::string& EmbeddedTarget::nqn() const { return impl_->nqn; }

const std::vector<EmbeddedTarget::Offer>& EmbeddedTarget::offers() const { return impl_->offers; }

std::size_t EmbeddedTarget::connections() const { return impl_->threads.connections; }

block::Counters EmbeddedTarget::did() const { return impl_->threads.did(); }

Nanos EmbeddedTarget::cpu_time() const {
  Nanos used = 0;
  for (const Impl::Serving& one : impl_->serving) used += one.io->cpu_time();
  return used;
}

}  // namespace scalio::nvmf
