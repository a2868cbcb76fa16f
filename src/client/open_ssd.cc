#include "client/open_ssd.h"

#include <fmt/format.h>

#include <utility>

#include "block/identity.h"
#include "block/uring_device.h"
#include "client/timeouts.h"
#include "layout/store_names.h"
#include "nvmf/auth/host_secrets.h"

namespace scalio::client {

using layout::HelloReply;
using layout::SsdTarget;
using Opened = Result<OpenedSsd>;

namespace {

// A client's loop runs only while the client is used: it must be able to idle for longer than the
// usual seconds, or a thousand of them come back at once to connect again. That the other machine
// is gone the kernel notices (net/socket.cc), that the target is silent whoever waits for it.
constexpr Nanos kKeepAlive = 120 * kSecond;

Opened open_direct(EventLoop& loop, const HelloReply& hello, const ClientOptions& options) {
  const std::uint32_t ssd = hello.ssd.ssd();
  if (!options.ssd_paths.empty() && ssd >= options.ssd_paths.size()) {
    return Status(Code::invalid, fmt::format("no path was given for SSD {}", ssd));
  }
  const std::string& path = options.ssd_paths.empty() ? hello.device_path : options.ssd_paths[ssd];
  auto device = block::UringDevice::open(loop, path, block::Access::read_only);
  if (!device.ok()) return device.status();
  return OpenedSsd{*std::move(device)};
}

// As which host it connects, and by what it proves that.
Status take_secrets(const std::string& file, nvmf::InitiatorOptions& options) {
  if (file.empty()) return Status();
  Result<std::pair<std::string, nvmf::DhchapSecrets>> own = nvmf::read_own_secrets(file);
  // It was right when the client connected, and of a GET "invalid" would be said of the key.
  if (!own.ok()) return Status(Code::unavailable, own.status().message());
  if (options.identity.nqn != own->first) options.identity = nvmf::identity_for(own->first);
  options.secrets = std::move(own->second);
  return Status();
}

Task<Opened> open_nvmf(nvmf::Initiator& initiator, net::Uri server, HelloReply hello,
                       ClientOptions options, nvmf::InitiatorOptions limits, Nanos connect_bound) {
  nvmf::NamespaceAddress address;
  address.controller.scheme =
      hello.target.transport == SsdTarget::Transport::tcp ? net::kTcp : net::kRdma;
  address.controller.host = !hello.target.host.empty() ? hello.target.host
                            : server.host.empty()      ? "127.0.0.1"
                                                       : server.host;
  address.controller.port = hello.target.port;
  address.subsystem_nqn = layout::store_nqn(hello.ssd.uuid);
  address.nsid = hello.ssd.ssd() + 1;
  limits.namespaces = hello.ssd.ssds();
  limits.connect_timeout = to_nanos(options.connect_timeout);
  limits.first_connect_timeout = connect_bound;
  limits.command_timeout = to_nanos(options.operation_timeout);
  limits.reconnect_wait = to_nanos(options.resume_timeout);
  limits.keep_alive = kKeepAlive;
  Result<std::unique_ptr<nvmf::NvmeDevice>> device =
      co_await initiator.connect(std::move(address), std::move(limits));
  if (!device.ok()) co_return device.status();
  nvmf::NvmeDevice* const remote = device->get();
  co_return OpenedSsd{*std::move(device), [remote] { return remote->close(); }};
}

// What was opened, if it is the SSD that the hello is of.
Task<Opened> checked(Opened opened, layout::SsdGeometry expected) {
  if (!opened.ok()) co_return opened;
  Status s = co_await block::check_identity(*opened->device, expected);
  if (!s.ok()) co_return s;
  co_return opened;
}

// Of what a server names.
Opened not_the_callers(Opened opened) {
  if (opened.code() != Code::invalid) return opened;
  return Status(Code::unavailable, opened.status().message());
}

Task<Opened> open_as_asked(EventLoop& loop, nvmf::Initiator& initiator, net::Uri server,
                           HelloReply hello, ClientOptions options, Nanos connect_bound) {
  const bool offered = hello.target.transport != SsdTarget::Transport::none;
  const bool local = server.local();
  if (!options.ssd_paths.empty() || options.ssd_access == SsdAccess::direct) {
    Opened direct = open_direct(loop, hello, options);
    co_return co_await checked(std::move(direct), hello.ssd);
  }
  if (options.ssd_access == SsdAccess::automatic && (local || !offered)) {
    Opened direct = open_direct(loop, hello, options);
    direct = co_await checked(std::move(direct), hello.ssd);
    if (direct.ok() || !offered) co_return direct;
  }
  if (!offered)
    co_return Status(Code::invalid, "the server offers its SSDs over no NVMe-oF target");
  nvmf::InitiatorOptions limits;
  if (Status s = take_secrets(options.nvmf_dhchap, limits); !s.ok()) co_return s;
  Opened remote =
      co_await open_nvmf(initiator, server, hello, options, std::move(limits), connect_bound);
  co_return not_the_callers(co_await checked(std::move(remote), hello.ssd));
}
}  // namespace

Task<Opened> open_ssd(EventLoop& loop, nvmf::Initiator& initiator, net::Uri uri, HelloReply hello,
                      ClientOptions options, Nanos connect_bound) {
  if (!options.ssd_paths.empty() && options.ssd_access == SsdAccess::nvmf) {
    co_return Status(Code::invalid, "paths of SSDs are of no use when they are read over NVMe-oF");
  }
  co_return co_await open_as_asked(loop, initiator, std::move(uri), std::move(hello),
                                   std::move(options), connect_bound);
}

}  // namespace scalio::client
