// Scalio, raced: a shard's server and its clients, as the simulator has them.
#pragma once

#include "baseline/race/raced_store.h"

namespace scalio::race {

std::unique_ptr<RacedStore> make_raced_scalio(sim::World& world);

}  // namespace scalio::race
