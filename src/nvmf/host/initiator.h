// The initiator: devices and discovery, over NVMe/TCP and NVMe/RDMA.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nvmf/host/discovery.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/host/nvme_device.h"
#include "nvmf/wire/discovery_log.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// What connects namespaces, over one association for each distinct subsystem and address, whose
// namespaces share it (shared_association.h). Belongs to the loop's thread.
class Initiator {
 public:
  explicit Initiator(EventLoop& loop) : loop_(loop) {}

  // Connects to a namespace. A host's name is looked up once for an association. Those of `options`
  // that are of the association are those that it was first connected with. Failures: as
  // NvmeDevice::connect; invalid also for a transport that is not of the network; unavailable also
  // for rdma without an RDMA device.
  Task<Result<std::unique_ptr<NvmeDevice>>> connect(NamespaceAddress address,
                                                    InitiatorOptions options);

 private:
  EventLoop& loop_;
  // By the controller's address and the subsystem's name.
  std::map<std::pair<std::string, std::string>, std::weak_ptr<SharedAssociation>> associations_;
};

// As Initiator::connect, over an association of its own.
Task<Result<std::unique_ptr<NvmeDevice>>> connect_namespace(EventLoop& loop,
                                                            NamespaceAddress address,
                                                            InitiatorOptions options);

// What the discovery service at an address knows. Failures: likewise, and as discover().
Task<Result<std::vector<DiscoveryEntry>>> discover_at(EventLoop& loop, net::Uri controller,
                                                      InitiatorOptions options);

}  // namespace scalio::nvmf
