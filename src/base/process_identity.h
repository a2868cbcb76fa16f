// Which process is meant, also after it has ended and its number belongs to another.
#pragma once

#include <scalio/status.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace scalio {

// Another one after each boot: /proc/sys/kernel/random/boot_id.
std::string boot_id();

// Plain data, to be stored. All zero: no process.
struct ProcessIdentity {
  std::uint64_t pid = 0;
  std::uint64_t started = 0;        // clock ticks after the boot: field 22 of /proc/PID/stat
  std::uint64_t pid_namespace = 0;  // inode of /proc/PID/ns/pid
  std::array<char, 40> boot{};      // boot_id(), zero-padded
  bool operator==(const ProcessIdentity&) const = default;
};
static_assert(sizeof(ProcessIdentity) == 64);

// Of a process that has not been waited for, in this one's PID namespace.
ProcessIdentity identity_of(std::uint64_t pid);
// Fails with unavailable: /proc cannot be read.
Result<ProcessIdentity> this_process();

// Waits until the process has ended: all its threads have, and the kernel has closed the files that
// only it had open, except those that its io_uring requests were using. Whether its parent has
// noticed does not matter. A process of another PID namespace cannot be seen and counts as ended.
// Failures: busy (it still runs after `patience`), unavailable (it cannot be watched, or told from
// one of another boot).
Status wait_for_end(const ProcessIdentity& process, std::chrono::milliseconds patience);

}  // namespace scalio
