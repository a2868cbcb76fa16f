#include "nvmf/host/initiator.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/find_host.h"
#include "nvmf/host/rdma_queue.h"
#include "nvmf/host/shared_association.h"
#include "nvmf/host/tcp_queue.h"

namespace scalio::nvmf {

using net::Address;
using net::Uri;

namespace {

// Every controller takes so much in a capsule of the admin queue (NVMe/TCP 1.0, 3.3.2.2.1).
constexpr std::uint32_t kTcpAdminInCapsule = 8192;

class TcpQueueTransport final : public QueueTransport {
 public:
  TcpQueueTransport(EventLoop& loop, std::string name, std::vector<Address> addresses,
                    const InitiatorOptions& options)
      : loop_(loop),
        name_(std::move(name)),
        addresses_(std::move(addresses)),
        header_digest_(options.header_digest),
        data_digest_(options.data_digest) {}

  std::unique_ptr<Queue> make_queue(QueueOptions options) override {
    const TcpProtocol::Settings settings{options.depth, options.in_capsule, header_digest_,
                                         data_digest_};
    return std::make_unique<TcpQueue>(loop_, addresses_, settings, std::move(options));
  }
  const std::string& name() const override { return name_; }
  std::uint32_t admin_in_capsule() const override { return kTcpAdminInCapsule; }

 private:
  EventLoop& loop_;
  const std::string name_;
  const std::vector<Address> addresses_;
  const bool header_digest_;
  const bool data_digest_;
};

class RdmaQueueTransport final : public QueueTransport {
 public:
  RdmaQueueTransport(EventLoop& loop, std::string name, std::vector<Address> addresses)
      : loop_(loop), name_(std::move(name)), addresses_(std::move(addresses)) {}

  std::unique_ptr<Queue> make_queue(QueueOptions options) override {
    return std::make_unique<RdmaQueue>(loop_, addresses_, std::move(options));
  }
  const std::string& name() const override { return name_; }
  std::uint32_t admin_in_capsule() const override { return 0; }
  std::uint64_t max_transfer() const override { return RdmaQueue::kMaxData; }

 private:
  EventLoop& loop_;
  const std::string name_;
  const std::vector<Address> addresses_;
};

Task<Result<std::unique_ptr<QueueTransport>>> make_transport(EventLoop& loop, Uri controller,
                                                             const InitiatorOptions& options,
                                                             Nanos deadline) {
  using Made = std::unique_ptr<QueueTransport>;
  std::string name = controller.text();
  if (controller.local()) {
    co_return Status(Code::invalid,
                     fmt::format("no NVMe-oF controller can be at {}: give tcp: or rdma:", name));
  }
  Result<std::vector<Address>> found =
      co_await net::find_host(loop, std::move(controller.host), controller.port, deadline);
  if (!found.ok()) co_return found.status();
  if (controller.scheme == net::kRdma) {
    co_return Made(std::make_unique<RdmaQueueTransport>(loop, std::move(name), *std::move(found)));
  }
  co_return Made(
      std::make_unique<TcpQueueTransport>(loop, std::move(name), *std::move(found), options));
}

}  // namespace

Task<Result<std::unique_ptr<NvmeDevice>>> Initiator::connect(NamespaceAddress address,
                                                             InitiatorOptions options) {
  std::erase_if(associations_, [](const auto& entry) { return entry.second.expired(); });
  const std::string where = address.controller.text();
  std::weak_ptr<SharedAssociation>& known = associations_[{where, address.subsystem_nqn}];
  std::shared_ptr<SharedAssociation> association = known.lock();
  if (!association || association->closed()) {
    auto maker = [&loop = loop_, at = address.controller, options](Nanos deadline) {
      return make_transport(loop, at, options, deadline);
    };
    association = std::make_shared<SharedAssociation>(loop_, where, address.subsystem_nqn,
                                                      std::move(maker), options);
    known = association;
  }
  return NvmeDevice::connect(loop_, std::move(association), address.nsid, std::move(options));
}

Task<Result<std::unique_ptr<NvmeDevice>>> connect_namespace(EventLoop& loop,
                                                            NamespaceAddress address,
                                                            InitiatorOptions options) {
  Initiator alone(loop);
  return alone.connect(std::move(address), std::move(options));
}

Task<Result<std::vector<DiscoveryEntry>>> discover_at(EventLoop& loop, Uri controller,
                                                      InitiatorOptions options) {
  const Nanos deadline = loop.now() + options.connect_timeout;
  Result<std::unique_ptr<QueueTransport>> transport =
      co_await make_transport(loop, std::move(controller), options, deadline);
  if (!transport.ok()) co_return transport.status();
  Result<std::vector<DiscoveryEntry>> entries = co_await discover(loop, **transport, options);
  co_return entries;
}

}  // namespace scalio::nvmf
