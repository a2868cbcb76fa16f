// The CPU's cores that this process may use.
#pragma once

#include <scalio/status.h>

#include <vector>

namespace scalio {

// By number, in order: never empty. What taskset, a cpuset or a container leaves
// (sched_getaffinity).
std::vector<unsigned> usable_cores();

// Keeps the calling thread on one of them. Memory that it is the first to touch is then of that
// core's NUMA node, as long as there is some, by the kernel's default policy. Fails with
// unavailable.
Status pin_to(unsigned core);

}  // namespace scalio
