// The statistics of a whole store, of what each of its shards says. Clients make them of what they
// are answered, and the server itself for whoever looks at it by HTTP.
#pragma once

#include <scalio/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "layout/superblock.h"

namespace scalio::layout {

// The value of a request of kind stat that asks for the shard's slow log instead.
inline constexpr std::string_view kAskSlowLog = "slow";

// JSON, of the JSON of each shard, in their order; at least one. docs/operations.md, "Statistics",
// has what is in it. `any` is the geometry of one of them. Fails with unavailable: what a shard
// says is malformed.
Result<std::string> store_stat(const std::vector<std::string>& shards, const SsdGeometry& any);

}  // namespace scalio::layout
