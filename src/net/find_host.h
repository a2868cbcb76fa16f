// Looking up a host without blocking the loop.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <string>
#include <vector>

#include "net/socket.h"
#include "task/event_loop.h"

namespace scalio::net {

// A host's addresses, at least one. Failures: timed_out (at `deadline`), unavailable (no such host,
// or the name service does not answer).
Task<Result<std::vector<Address>>> find_host(EventLoop& loop, std::string host, std::uint16_t port,
                                             Nanos deadline);

}  // namespace scalio::net
