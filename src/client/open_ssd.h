// open_ssd(): a shard's SSD, as the client's machine reaches it.
#pragma once

#include <scalio/client.h>

#include <memory>

#include "block/block_device.h"
#include "layout/message.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::client {

// The SSD of the shard that said `hello`, of the server at `uri`, read as options.ssd_access says.
// What it opens holds that shard's superblock. Failures: invalid (paths that do not go with the
// access, another SSD, an access that the server does not offer), as UringDevice::open, as
// nvmf::connect_namespace, as read_superblock.
Task<Result<std::unique_ptr<block::BlockDevice>>> open_ssd(EventLoop& loop, net::Uri uri,
                                                           layout::HelloReply hello,
                                                           ClientOptions options);

// Before such a device goes: where there is a controller, it is told, and waited for, 2 s at most.
Task<void> close_ssd(block::BlockDevice& device);

}  // namespace scalio::client
