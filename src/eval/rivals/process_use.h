// What a process has used, from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace scalio::eval {

struct DiskBytes {
  std::uint64_t read = 0, written = 0;
};
// What it has had brought from storage, and has given it to write, be it later. Nothing if the
// kernel does not count it.
std::optional<DiskBytes> disk_bytes(pid_t pid);

// CPU time of children that it has waited for, us, as exact as the kernel's ticks; 0 if unknown.
std::uint64_t ended_children_cpu_us(pid_t pid);

// CPU time of this process's threads whose names begin so, us.
std::uint64_t threads_cpu_us(std::string_view name);

}  // namespace scalio::eval
