// How many operations a device takes at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace scalio::block {

// Of the block device `path`, or the one under the file `path`, as the kernel's block layer has it;
// nothing if that does not say. `sysfs`: for tests.
std::optional<std::uint32_t> queue_depth(const std::string& path,
                                         const std::string& sysfs = "/sys");

}  // namespace scalio::block
