// Reading what a device is.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include "block/block_device.h"
#include "layout/superblock.h"

namespace scalio::block {

// The first intact copy of a device's superblock. Failures: invalid (not a Scalio SSD, another format
// version), corrupt, io_error; the message names the device.
Task<Result<layout::SsdGeometry>> read_superblock(BlockDevice& device);

}  // namespace scalio::block
