#include "hardware/systems/server_threads.h"

#include <algorithm>

namespace scalio::hardware {

namespace {

// As the programs have them (baseline/system/server/): one thread for control, and some that read
// messages themselves.
constexpr std::uint32_t kWorkers = 4;
ServerThreads assign_sleepers(Hardware& hardware, std::uint32_t workers, Role worker) {
  if (workers == 0) workers = kWorkers;
  workers = std::min(workers, static_cast<std::uint32_t>(hardware.ssds().size()));
  ServerThreads threads;
  threads.control = &hardware.server_thread(0, Role::network, true);
  for (std::uint32_t i = 0; i < workers; ++i) {
    threads.workers.push_back(&hardware.server_thread(0, worker, true));
  }
  return threads;
}

}  // namespace

ServerThreads assign_threads(Hardware& hardware, std::uint32_t ssd_cores, Role worker) {
  if (hardware.machine().sockets) return assign_sleepers(hardware, ssd_cores, worker);
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
