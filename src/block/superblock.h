// Reading what a device is.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "layout/superblock.h"

namespace scalio::block {

// The first intact copy of a device's superblock. Failures: invalid (not a Scalio SSD, another
// format version), corrupt, io_error; the message names the device. `formatted_size`: how large the
// device was when it was formatted, if that is known; 0: as it is now.
Task<Result<layout::SsdGeometry>> read_superblock(BlockDevice& device,
                                                  std::uint64_t formatted_size = 0);

// A copy of the superblock that is not what it should be.
struct SuperblockDamage {
  std::uint64_t offset;
  std::string what;
};

// What is wrong with the copies, by `geometry`, which is that of an intact one. A device that has
// grown since it was formatted has its second copy where its end was.
Task<std::vector<SuperblockDamage>> damaged_superblocks(BlockDevice& device,
                                                        layout::SsdGeometry geometry);

// Writes both copies, durably. Failures: io_error.
Task<Status> write_superblocks(BlockDevice& device, layout::SsdGeometry geometry);

// Writes the copy at `offset` anew, durably, and reads it back. Failures: io_error.
Task<Status> restore_superblock(BlockDevice& device, layout::SsdGeometry geometry,
                                std::uint64_t offset);

}  // namespace scalio::block
