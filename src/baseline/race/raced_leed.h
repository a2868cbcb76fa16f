// LEED, raced, alone or behind a Ditto cache: a server with one SSD, which has the cache's memory
// too.
#pragma once

#include "baseline/ditto/evictor.h"
#include "baseline/race/raced_store.h"

namespace scalio::race {

std::unique_ptr<RacedStore> make_raced_leed(sim::World& world);
std::unique_ptr<RacedStore> make_raced_leed_ditto(sim::World& world, ditto::EvictionPolicy policy);

}  // namespace scalio::race
