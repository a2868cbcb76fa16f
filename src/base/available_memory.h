// How much memory this process can still take, before the kernel swaps or kills it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace scalio {

struct AvailableMemory {
  std::uint64_t bytes = UINT64_MAX;  // no limit that the kernel tells of
  std::string of;                    // what has no more: "this machine", or a control group
};

// The least of what the machine has and what the process's control groups have: each limits all
// that is below it. Version 2 (memory.max, memory.high) and version 1 (memory.limit_in_bytes). Page
// cache counts as available. `root` stands for /, in tests.
AvailableMemory available_memory(const std::filesystem::path& root = "/");

}  // namespace scalio
