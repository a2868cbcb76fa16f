// open_ssd(): a shard's SSD, as the client's machine reaches it.
#pragma once

#include <scalio/client.h>

#include "client/ssd.h"
#include "layout/message.h"
#include "net/uri.h"
#include "nvmf/host/initiator.h"
#include "task/event_loop.h"

namespace scalio::client {

// The SSD of the shard that said `hello`, of the server at `uri`, read as options.ssd_access says:
// over NVMe-oF by `initiator`, which outlives what it opens. Connecting to its target takes no
// longer than `connect_bound`. What it opens holds that shard's superblock; to close it waits for
// its controller, 2 s at most. Failures: invalid (paths that do not go with the access, another SSD
// there, an access that the server does not offer), as UringDevice::open, as read_superblock; as
// nvmf::Initiator::connect, but unavailable in place of invalid: what a server names is not the
// caller's.
Task<Result<OpenedSsd>> open_ssd(EventLoop& loop, nvmf::Initiator& initiator, net::Uri uri,
                                 layout::HelloReply hello, ClientOptions options,
                                 Nanos connect_bound);

}  // namespace scalio::client
