#include "nvmf/rdma_initiator.h"

#include "fabric/find_host.h"
#include "fabric/uri.h"
#include "nvmf/rdma_queue.h"

namespace scalio::nvmf {

namespace {

class RdmaTransport final : public Transport {
 public:
  RdmaTransport(EventLoop& loop, std::string name, std::vector<fabric::Address> addresses)
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
  const std::vector<fabric::Address> addresses_;
};

Task<Result<std::unique_ptr<Transport>>> make_transport(EventLoop& loop, std::string host, std::uint16_t port,
                                                        const InitiatorOptions& options) {
  const Nanos deadline = loop.now() + options.connect_timeout;
  Result<std::vector<fabric::Address>> addresses = co_await fabric::find_host(loop, host, port, deadline);
  if (!addresses.ok()) co_return addresses.status();
  const fabric::Uri uri{fabric::Uri::Scheme::rdma, "", std::move(host), port};
  co_return std::unique_ptr<Transport>(
      std::make_unique<RdmaTransport>(loop, uri.text(), *std::move(addresses)));
}

}  // namespace

Task<Result<std::unique_ptr<NvmeDevice>>> connect_rdma(EventLoop& loop, NvmeAddress address,
                                                       InitiatorOptions options) {
  Result<std::unique_ptr<Transport>> transport =
      co_await make_transport(loop, address.host, address.port, options);
  if (!transport.ok()) co_return transport.status();
  Result<std::unique_ptr<NvmeDevice>> device = co_await NvmeDevice::connect(
      loop, *std::move(transport), std::move(address.subsystem_nqn), address.nsid, std::move(options));
  co_return device;
}

Task<Result<std::vector<DiscoveryEntry>>> discover_rdma(EventLoop& loop, std::string host, std::uint16_t port,
                                                        InitiatorOptions options) {
  Result<std::unique_ptr<Transport>> transport =
      co_await make_transport(loop, std::move(host), port, options);
  if (!transport.ok()) co_return transport.status();
  Result<std::vector<DiscoveryEntry>> entries = co_await discover(loop, **transport, options);
  co_return entries;
}

}  // namespace scalio::nvmf
