#include "hardware/systems/server_threads.h"

#include <algorithm>

namespace scalio::hardware {

ServerThreads assign_threads(Hardware& hardware, std::uint32_t ssd_cores, Role worker) {
  const std::uint32_t cores = hardware.cores();
  if (ssd_cores == 0) ssd_cores = std::max(1u, cores / 2);
  ssd_cores = std::min(ssd_cores, std::max(1u, cores - 1));
  const std::uint32_t first = cores - ssd_cores;  // of the workers'
  ServerThreads threads;
  threads.control = &hardware.server_thread(0, Role::network, false);
  hardware.use_core(0, "control");
  for (std::uint32_t core = first > 1 ? 1 : 0; core < std::max(1u, first); ++core) {
    hardware.use_core(core, "network");
    threads.network.push_back(&hardware.server_thread(core, Role::network, false));
  }
  for (std::uint32_t core = std::min(first, cores - 1); core < cores; ++core) {
    hardware.use_core(core, "ssd");
    threads.workers.push_back(&hardware.server_thread(core, worker, false));
  }
  return threads;
}

}  // namespace scalio::hardware
