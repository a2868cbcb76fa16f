// ServerThreads: LEED's threads on the server's cores, which the paper's Scalio has too: one for
// control, some that receive and send, and some that each have SSDs, dealt out in turn. Between the
// latter two every message is handed over. Where messages go through sockets the workers read them
// themselves, as the real servers' do.
#pragma once

#include <vector>

#include "hardware/hardware.h"

namespace scalio::hardware {

struct ServerThreads {
  ModelThread* control = nullptr;
  std::vector<ModelThread*> network;
  std::vector<ModelThread*> workers;

  ModelThread& worker_of(std::uint32_t ssd) const { return *workers[ssd % workers.size()]; }
};

// `ssd_cores`: for the workers; 0: half of all, as in the paper. Where there are few cores some
// threads share one. With sockets: workers; 0: up to 4, as `scalio-eval serve` has.
ServerThreads assign_threads(Hardware& hardware, std::uint32_t ssd_cores, Role worker);

}  // namespace scalio::hardware
