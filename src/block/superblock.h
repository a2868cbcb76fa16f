// Reading what a device is.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <string>
#include <vector>

#include "block/block_device.h"
#include "layout/superblock.h"

namespace scalio::block {

// The first intact copy of a device's superblock. Failures: invalid (not a Scalio SSD, another format
// version), corrupt, io_error; the message names the device.
Task<Result<layout::SsdGeometry>> read_superblock(BlockDevice& device);

// What is wrong with each copy of the superblock that is not intact, with its offset. Failures: io_error.
Task<Result<std::vector<std::string>>> damaged_superblocks(BlockDevice& device);

}  // namespace scalio::block
