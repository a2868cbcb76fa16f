// A large value as the SSD has it, for those that read a store without a server.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <string_view>

#include "block/block_device.h"
#include "layout/value_area.h"

namespace scalio::storage {

// Reads the value that the pointer of a record leads to, part by part, each checked before `take`
// gets it. False if it is not there, whole and of this record. Failures: io_error.
Task<Result<bool>> read_stored_value(block::BlockDevice& device, const layout::SsdGeometry& ssd,
                                     const layout::Pointer& pointer, std::string_view key,
                                     std::uint64_t version,
                                     const std::function<void(ByteView)>& take);

}  // namespace scalio::storage
