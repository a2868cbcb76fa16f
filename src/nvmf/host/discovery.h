// Asking a discovery controller what subsystems there are (Fabrics 5).
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <vector>

#include "nvmf/host/initiator_options.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/discovery_log.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// Of a log with more entries, the first.
constexpr std::uint64_t kMostDiscoveryEntries = 1024;

// The entries of the discovery log, as they were at one moment. `transport` and `options` live
// until then. Failures: as Association::connect; unavailable (the log keeps changing).
Task<Result<std::vector<DiscoveryEntry>>> discover(EventLoop& loop, QueueTransport& transport,
                                                   const InitiatorOptions& options);

}  // namespace scalio::nvmf
