// What a SystemHost tells of itself. Names are those of `scalio stat` for what that has too.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "eval/systems.h"
#include "task/executor.h"

namespace scalio::eval {

struct HostStat {
  System system = System::leed;
  const std::vector<std::string>& ssds;  // as they are named on this machine
  std::uint32_t threads = 0;             // that have the SSDs
  Nanos nic_cpu_time = 0;
  block::Counters devices;
};

// And what this process is, and the CPU time that it has used.
nlohmann::ordered_json to_json(const HostStat& stat);

}  // namespace scalio::eval
