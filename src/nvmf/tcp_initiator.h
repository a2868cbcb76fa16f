// NVMe/TCP, the initiator's side: devices and discovery.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <memory>
#include <string>
#include <vector>

#include "nvmf/discovery.h"
#include "nvmf/initiator_options.h"
#include "nvmf/nvme_device.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// Connects to a namespace. A host's name is looked up once, here. Failures: as NvmeDevice::connect.
Task<Result<std::unique_ptr<NvmeDevice>>> connect_tcp(EventLoop& loop, NvmeAddress address,
                                                      InitiatorOptions options);

// What the discovery service at an address knows. Failures: likewise.
Task<Result<std::vector<DiscoveryEntry>>> discover_tcp(EventLoop& loop, std::string host, std::uint16_t port,
                                                       InitiatorOptions options);

}  // namespace scalio::nvmf
