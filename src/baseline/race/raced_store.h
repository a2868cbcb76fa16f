// RacedStore: one of the compared systems in the simulator (sim/world.h), with its server, network
// and SSD, and clients that connect to it. Its own code is the real one.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <functional>
#include <memory>
#include <vector>

#include "baseline/system/kv_client.h"
#include "linearizability/timeline.h"
#include "sim/world.h"

namespace scalio::race {

// Of one process, with one operation at a time.
class RacedClient {
 public:
  virtual ~RacedClient() = default;

  virtual baseline::KvClient& kv() = 0;
  // Where the last operation was between its call and its return, by the world's clock. Nothing if
  // the store has no such parts.
  virtual std::vector<linearizability::TimelinePart> parts(history::Time called,
                                                           history::Time returned) const = 0;
  // Waits for what operations have left behind. Before it is destroyed.
  virtual Task<void> close() = 0;
};

class RacedStore {
 public:
  virtual ~RacedStore() = default;

  // These wait in the process of whoever asks. start(): until it serves; stop(): when the clients
  // have been destroyed, and a second before the store is.
  virtual Task<Status> start(sim::SimProcess& process) = 0;
  virtual Task<Result<std::unique_ptr<RacedClient>>> connect(sim::SimProcess& process) = 0;
  virtual Task<void> stop(sim::SimProcess& process) = 0;
};

using StoreMaker = std::function<std::unique_ptr<RacedStore>(sim::World&)>;

}  // namespace scalio::race
