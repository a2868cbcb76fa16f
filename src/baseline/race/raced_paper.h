// The paper's Scalio, raced: a server with one SSD.
#pragma once

#include "baseline/race/raced_store.h"

namespace scalio::race {

std::unique_ptr<RacedStore> make_raced_paper(sim::World& world);

}  // namespace scalio::race
