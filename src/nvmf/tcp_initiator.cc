#include "nvmf/tcp_initiator.h"

#include "fabric/find_host.h"
#include "fabric/uri.h"
#include "nvmf/tcp_queue.h"

namespace scalio::nvmf {

namespace {

// Every controller takes so much in a capsule of the admin queue (NVMe/TCP 1.0, 3.3.2.2.1).
constexpr std::uint32_t kAdminInCapsule = 8192;

class TcpTransport final : public Transport {
 public:
  TcpTransport(EventLoop& loop, std::string name, std::vector<fabric::Address> addresses,
               const InitiatorOptions& options)
      : loop_(loop),
        name_(std::move(name)),
        addresses_(std::move(addresses)),
        header_digest_(options.header_digest),
        data_digest_(options.data_digest) {}

  std::unique_ptr<Queue> make_queue(QueueOptions options) override {
    const TcpProtocol::Settings settings{options.depth, options.in_capsule, header_digest_, data_digest_};
    return std::make_unique<TcpQueue>(loop_, addresses_, settings, std::move(options));
  }
  const std::string& name() const override { return name_; }
  std::uint32_t admin_in_capsule() const override { return kAdminInCapsule; }

 private:
  EventLoop& loop_;
  const std::string name_;
  const std::vector<fabric::Address> addresses_;
  const bool header_digest_;
  const bool data_digest_;
};

Task<Result<std::unique_ptr<Transport>>> make_transport(EventLoop& loop, std::string host, std::uint16_t port,
                                                        const InitiatorOptions& options) {
  const Nanos deadline = loop.now() + options.connect_timeout;
  Result<std::vector<fabric::Address>> addresses = co_await fabric::find_host(loop, host, port, deadline);
  if (!addresses.ok()) co_return addresses.status();
  const fabric::Uri uri{fabric::Uri::Scheme::tcp, "", std::move(host), port};
  co_return std::unique_ptr<Transport>(
      std::make_unique<TcpTransport>(loop, uri.text(), *std::move(addresses), options));
}

}  // namespace

Task<Result<std::unique_ptr<NvmeDevice>>> connect_tcp(EventLoop& loop, NvmeAddress address,
                                                      InitiatorOptions options) {
  Result<std::unique_ptr<Transport>> transport =
      co_await make_transport(loop, address.host, address.port, options);
  if (!transport.ok()) co_return transport.status();
  Result<std::unique_ptr<NvmeDevice>> device = co_await NvmeDevice::connect(
      loop, *std::move(transport), std::move(address.subsystem_nqn), address.nsid, std::move(options));
  co_return device;
}

Task<Result<std::vector<DiscoveryEntry>>> discover_tcp(EventLoop& loop, std::string host, std::uint16_t port,
                                                       InitiatorOptions options) {
  Result<std::unique_ptr<Transport>> transport =
      co_await make_transport(loop, std::move(host), port, options);
  if (!transport.ok()) co_return transport.status();
  Result<std::vector<DiscoveryEntry>> entries = co_await discover(loop, **transport, options);
  co_return entries;
}

}  // namespace scalio::nvmf
