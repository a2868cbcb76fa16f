#include "nvmf/target/embedded_target.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>

#include <bit>
#include <deque>
#include <future>
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
  if (!between(l.max_connections, 1, 262144) || !between(l.max_io_queues, 1, 1024) ||
      !between(l.queue_depth, 2, 4096) || !std::has_single_bit(l.max_transfer) ||
      !between(l.max_transfer, 8192, BufferPool::kMaxBuffer) || l.max_pdu_data % 4 != 0 ||
      !between(l.max_pdu_data, kInCapsuleData, 256 * 1024) || l.max_in_flight == 0 ||
      l.connect_timeout == 0 || l.stall_timeout == 0) {
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
        subsystem_.adopt(std::move(accepted->fd), std::move(accepted->name));
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
  std::unique_ptr<IoThread> thread;
  std::vector<net::Uri> addresses;
  std::string nqn;
  std::vector<Offer> offers;
  // Used and destroyed on the thread.
  std::unique_ptr<Subsystem> subsystem;
  std::deque<HostAcceptor> acceptors;

  Status open(TargetOptions options, std::vector<net::Listener> listeners);
  static Task<void> open_on_thread(Impl& impl, TargetOptions options,
                                   std::vector<net::Listener> listeners,
                                   std::promise<Status>& done);
  static Task<void> close_on_thread(Impl& impl, std::promise<void>& done);
};

Result<std::unique_ptr<EmbeddedTarget>> EmbeddedTarget::start(TargetOptions options) {
  if (Status s = check(options); !s.ok()) return s;
  std::vector<net::Listener> listeners;
  for (const net::Uri& uri : options.listen) {
    Result<net::Listener> listener = net::Listener::open(uri);
    if (!listener.ok()) return listener.status();
    listeners.push_back(std::move(*listener));
  }
  Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-nvmf");
  if (!thread.ok()) return thread.status();

  auto impl = std::make_unique<Impl>();
  impl->thread = std::move(*thread);
  for (const net::Listener& listener : listeners) impl->addresses.push_back(listener.uri());
  if (Status s = impl->open(std::move(options), std::move(listeners)); !s.ok()) return s;
  return std::unique_ptr<EmbeddedTarget>(new EmbeddedTarget(std::move(impl)));
}

Status EmbeddedTarget::Impl::open(TargetOptions options, std::vector<net::Listener> listeners) {
  std::promise<Status> done;
  thread->loop().run_on_loop([&] {
    thread->loop().spawn(open_on_thread(*this, std::move(options), std::move(listeners), done));
  });
  return done.get_future().get();
}

Task<void> EmbeddedTarget::Impl::open_on_thread(Impl& impl, TargetOptions options,
                                                std::vector<net::Listener> listeners,
                                                std::promise<Status>& done) {
  EventLoop& loop = impl.thread->loop();
  Result<NamespaceTable> table =
      co_await NamespaceTable::open(loop, std::move(options.namespaces), options.writable);
  if (!table.ok()) {
    done.set_value(table.status());
    co_return;
  }
  for (const auto& n : table->all()) {
    impl.offers.push_back({n->nsid, n->device->name(),
                           layout::to_string(load<layout::Uuid>(n->id.uuid.data())),
                           n->device->size(), n->device->block_size()});
  }
  impl.nqn = options.nqn.empty() ? table->default_nqn() : options.nqn;
  std::vector<TargetPort> ports;
  for (const net::Listener& listener : listeners) ports.push_back(port_of(listener));
  impl.subsystem = std::make_unique<Subsystem>(loop, std::move(*table), impl.nqn,
                                               std::move(options.allowed_hosts), options.writable,
                                               options.limits, std::move(ports));
  for (net::Listener& listener : listeners) {
    impl.acceptors.emplace_back(loop, std::move(listener), *impl.subsystem);
  }
  done.set_value(Status());
}

Task<void> EmbeddedTarget::Impl::close_on_thread(Impl& impl, std::promise<void>& done) {
  EventLoop& loop = impl.thread->loop();
  impl.acceptors.clear();
  impl.subsystem->close_all();
  while (impl.subsystem->closing() > 0) co_await loop.sleep(kStopPoll);
  impl.subsystem.reset();
  done.set_value();
}

EmbeddedTarget::EmbeddedTarget(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EmbeddedTarget::~EmbeddedTarget() { stop(); }

void EmbeddedTarget::stop() {
  if (!impl_->subsystem) return;
  std::promise<void> done;
  impl_->thread->loop().run_on_loop(
      [&] { impl_->thread->loop().spawn(Impl::close_on_thread(*impl_, done)); });
  done.get_future().wait();
  impl_->thread->stop();
}

const std::vector<net::Uri>& EmbeddedTarget::addresses() const { return impl_->addresses; }

const std::string& EmbeddedTarget::nqn() const { return impl_->nqn; }

const std::vector<EmbeddedTarget::Offer>& EmbeddedTarget::offers() const { return impl_->offers; }

std::size_t EmbeddedTarget::connections() const { return impl_->subsystem->connections(); }

Nanos EmbeddedTarget::cpu_time() const { return impl_->thread->cpu_time(); }

}  // namespace scalio::nvmf
