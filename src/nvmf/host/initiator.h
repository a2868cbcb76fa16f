// The initiator: devices and discovery, over NVMe/TCP and NVMe/RDMA.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <memory>
#include <vector>

#include "nvmf/host/discovery.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/host/nvme_device.h"
#include "nvmf/wire/discovery_log.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// Connects to a namespace. A host's name is looked up once, here. Failures: as NvmeDevice::connect;
// invalid also for a transport that is not of the network; unavailable also for rdma without an
// RDMA device.
Task<Result<std::unique_ptr<NvmeDevice>>> connect_namespace(EventLoop& loop,
                                                            NamespaceAddress address,
                                                            InitiatorOptions options);

// What the discovery service at an address knows. Failures: likewise, and as discover().
Task<Result<std::vector<DiscoveryEntry>>> discover_at(EventLoop& loop, net::Uri controller,
                                                      InitiatorOptions options);

}  // namespace scalio::nvmf
