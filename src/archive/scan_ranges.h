// Which parts of a store are in an archive, and which are not yet.
#pragma once

#include <scalio/client.h>

#include <vector>

namespace scalio::archive {

// What of `wanted` is in none of `have`, in order. Ranges of `have` may overlap, and be in any
// order.
std::vector<ScanRange> missing(const std::vector<ScanRange>& wanted, std::vector<ScanRange> have);

}  // namespace scalio::archive
