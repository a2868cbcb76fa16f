#include "client/open_ssd.h"

#include <fmt/format.h>

#include "block/superblock.h"
#include "block/uring_device.h"
#include "layout/superblock.h"
#include "nvmf/namespace_table.h"
#include "nvmf/rdma_initiator.h"
#include "nvmf/tcp_initiator.h"

namespace scalio::client {

using layout::HelloReply;
using layout::SsdTarget;
using Opened = Result<std::unique_ptr<block::BlockDevice>>;

namespace {
Nanos to_nanos(std::chrono::milliseconds ms) { return static_cast<Nanos>(ms.count()) * kMillisecond; }

Opened open_direct(EventLoop& loop, const HelloReply& hello, const ClientOptions& options) {
  const std::uint32_t shard = hello.ssd.shard;
  if (!options.ssd_paths.empty() && shard >= options.ssd_paths.size()) {
    return Status(Code::invalid, fmt::format("no path was given for SSD {}", shard));
  }
  const std::string& path = options.ssd_paths.empty() ? hello.device_path : options.ssd_paths[shard];
  auto device = block::UringDevice::open(loop, path, block::Access::read_only);
  if (!device.ok()) return device.status();
  return std::unique_ptr<block::BlockDevice>(std::move(*device));
}

Task<Opened> open_nvmf(EventLoop& loop, fabric::Uri server, HelloReply hello, ClientOptions options) {
  nvmf::NvmeAddress address;
  address.host = !hello.target.host.empty() ? hello.target.host
                 : server.host.empty()      ? "127.0.0.1"
                                            : server.host;
  address.port = hello.target.port;
  address.subsystem_nqn = nvmf::store_nqn(hello.ssd.uuid);
  address.nsid = hello.ssd.shard + 1;
  nvmf::InitiatorOptions limits;
  limits.connect_timeout = to_nanos(options.connect_timeout);
  limits.command_timeout = to_nanos(options.operation_timeout);
  limits.reconnect_wait = to_nanos(options.resume_timeout);
  Result<std::unique_ptr<nvmf::NvmeDevice>> device =
      Status(Code::invalid, "the server offers its SSDs over no NVMe-oF target");
  switch (hello.target.transport) {
    case SsdTarget::Transport::none: break;
    case SsdTarget::Transport::tcp: device = co_await nvmf::connect_tcp(loop, address, limits); break;
    case SsdTarget::Transport::rdma: device = co_await nvmf::connect_rdma(loop, address, limits); break;
  }
  if (!device.ok()) co_return device.status();
  co_return std::unique_ptr<block::BlockDevice>(std::move(*device));
}

Task<Opened> open_as_asked(EventLoop& loop, fabric::Uri server, HelloReply hello, ClientOptions options) {
  const bool offered = hello.target.transport != SsdTarget::Transport::none;
  const bool local = server.scheme == fabric::Uri::Scheme::unix_socket;
  if (!options.ssd_paths.empty() || options.ssd_access == SsdAccess::direct) {
    co_return open_direct(loop, hello, options);
  }
  if (options.ssd_access == SsdAccess::nvmf || (offered && !local)) {
    co_return co_await open_nvmf(loop, server, hello, options);
  }
  Opened direct = open_direct(loop, hello, options);
  if (direct.ok() || !offered) co_return direct;
  co_return co_await open_nvmf(loop, server, hello, options);
}
}  // namespace

Task<Opened> open_ssd(EventLoop& loop, fabric::Uri uri, HelloReply hello, ClientOptions options) {
  if (!options.ssd_paths.empty() && options.ssd_access == SsdAccess::nvmf) {
    co_return Status(Code::invalid, "paths of SSDs are of no use when they are read over NVMe-oF");
  }
  Opened device = co_await open_as_asked(loop, uri, hello, options);
  if (!device.ok()) co_return device.status();
  Result<layout::SsdGeometry> found = co_await block::read_superblock(**device);
  if (!found.ok()) co_return found.status();
  if (found->uuid != hello.ssd.uuid || found->shard != hello.ssd.shard) {
    co_return Status(
        Code::invalid,
        fmt::format("{} is SSD {} of store {}, not SSD {} of store {}", (*device)->name(), found->shard,
                    layout::to_string(found->uuid), hello.ssd.shard, layout::to_string(hello.ssd.uuid)));
  }
  co_return std::move(*device);
}

}  // namespace scalio::client
