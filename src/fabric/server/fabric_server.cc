#include "fabric/server/fabric_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "fabric/server/lane_port.h"
#include "fabric/server/transport_server.h"
#include "task/io_thread.h"

namespace scalio::fabric {

namespace {

// The transports that listen, and all their addresses in the order they were given.
struct Listening {
  std::vector<std::unique_ptr<TransportServer>> transports;
  std::vector<net::Uri> addresses;
};

const ServerTransport* find(std::span<const ServerTransport> table, const net::Uri& uri) {
  const auto row = std::ranges::find_if(
      table, [&](const ServerTransport& t) { return t.scheme.name == uri.scheme; });
  return row == table.end() ? nullptr : &*row;
}

std::vector<std::string> schemes_with(std::span<const ServerTransport> table, Atomics atomics) {
  std::vector<std::string> schemes;
  for (const ServerTransport& t : table) {
    if (t.atomics == atomics) schemes.push_back(fmt::format("{}:", t.scheme.name));
  }
  return schemes;
}

Status check_together(std::span<const ServerTransport> table, const std::vector<net::Uri>& listen,
                      bool users) {
  std::size_t by_nic = 0;
  for (auto uri = listen.begin(); uri != listen.end(); ++uri) {
    const ServerTransport* transport = find(table, *uri);
    if (transport == nullptr) {
      return Status(
          Code::invalid,
          fmt::format("{}: this program has no transport for {}:", uri->text(), uri->scheme));
    }
    by_nic += transport->atomics == Atomics::nic;
    if (users && transport->atomics == Atomics::nic) {
      return Status(Code::invalid,
                    fmt::format("{}: a NIC lets whoever is connected read and write the region, "
                                "before it is known who that is: a store with users cannot be "
                                "served over {}:",
                                uri->text(), uri->scheme));
    }
  }
  if (by_nic > 0 && by_nic < listen.size()) {
    const auto nic = schemes_with(table, Atomics::nic), cpu = schemes_with(table, Atomics::cpu);
    return Status(
        Code::invalid,
        fmt::format("{} cannot be served beside {}, because a NIC's compare-and-swap is not atomic "
                    "with the CPU's; listen either at {} addresses only, or at {} only",
                    net::listed(nic, "or"), net::listed(cpu, "or"), net::listed(nic, "and"),
                    net::listed(cpu, "and")));
  }
  for (auto uri = listen.begin(); uri != listen.end(); ++uri) {
    const bool picked = !uri->local() && uri->port == 0;
    if (!picked && std::find(listen.begin(), uri, *uri) != uri) {
      return Status(Code::invalid, fmt::format("{} is given more than once", uri->text()));
    }
  }
  return Status();
}

Result<Listening> open_listeners(std::span<const ServerTransport> table,
                                 const std::vector<net::Uri>& uris, const Limits& limits) {
  if (Status s = check_together(table, uris, limits.users != nullptr); !s.ok()) return s;
  Listening all;
  std::map<const ServerTransport*, TransportServer*> serving;
  for (const net::Uri& uri : uris) {
    const ServerTransport* row = find(table, uri);
    TransportServer*& transport = serving[row];
    if (transport == nullptr) {
      transport = all.transports.emplace_back(row->serve(limits)).get();
    }
    Result<net::Uri> address = transport->listen(uri);
    if (!address.ok()) return address.status();
    all.addresses.push_back(std::move(*address));
  }
  return all;
}

}  // namespace

Status check_listen(std::span<const ServerTransport> table, const std::vector<net::Uri>& listen,
                    const Limits& limits) {
  return open_listeners(table, listen, limits).status();
}

unsigned descriptors_per_client(std::span<const ServerTransport> table,
                                const std::vector<net::Uri>& listen) {
  unsigned most = 0;
  for (const net::Uri& uri : listen) {
    if (const ServerTransport* row = find(table, uri)) most = std::max(most, row->descriptors);
  }
  return most;
}

struct FabricServer::Impl {
  std::vector<std::unique_ptr<LanePort>> ports;  // each used on its lane's thread
  Listening listening;                           // after the ports, which it uses
  bool stopped = false;

  void stop();
};

Result<std::unique_ptr<FabricServer>> FabricServer::start(
    std::span<const ServerTransport> table, std::vector<LaneEndpoint> lanes, std::uint64_t epoch,
    EpochFile& epoch_file, const std::vector<net::Uri>& listen, Limits limits) {
  SCALIO_ASSERT(!lanes.empty() && epoch != 0);
  auto impl = std::make_unique<Impl>();
  Result<Listening> listening = open_listeners(table, listen, limits);
  if (!listening.ok()) return listening.status();
  impl->listening = std::move(*listening);
  std::vector<LanePort*> ports;
  for (std::uint32_t i = 0; i < lanes.size(); ++i) {
    impl->ports.push_back(
        std::make_unique<LanePort>(i, lanes[i], epoch, epoch_file.read_only_fd(), limits));
    ports.push_back(impl->ports.back().get());
  }
  // Everything that can fail comes before the first connection is accepted.
  for (auto& transport : impl->listening.transports) {
    if (Status s = transport->prepare(ports); !s.ok()) return s;
  }
  for (auto& transport : impl->listening.transports) transport->start();
  return std::unique_ptr<FabricServer>(new FabricServer(std::move(impl)));
}

// From the outside in: who takes connections first, so that nothing new reaches the lanes, then
// the lanes.
void FabricServer::Impl::stop() {
  if (std::exchange(stopped, true)) return;
  for (auto& transport : listening.transports) transport->stop();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    run_and_wait(ports[i]->loop(), [this, i] {
      ports[i]->stop("the server stops");
      for (auto& transport : listening.transports) transport->leave(i);
    });
  }
}

FabricServer::FabricServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FabricServer::~FabricServer() { stop(); }
void FabricServer::stop() { impl_->stop(); }
std::size_t FabricServer::set_max_connections(std::size_t most) {
  for (const auto& port : impl_->ports) most = port->set_max_connections(most);
  return most;
}

std::vector<net::Uri> FabricServer::addresses() const { return impl_->listening.addresses; }

Nanos FabricServer::nic_cpu_time() const {
  Nanos used = 0;
  for (const auto& transport : impl_->listening.transports) used += transport->nic_cpu_time();
  return used;
}

Nanos FabricServer::nic_spun() const {
  Nanos spun = 0;
  for (const auto& transport : impl_->listening.transports) spun += transport->nic_spun();
  return spun;
}

}  // namespace scalio::fabric
