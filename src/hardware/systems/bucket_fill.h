// Fills the buckets of a Scalio store as its server would have left them: all records merged, none
// in the log. A hundred times faster than to write them all one by one.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware/sparse_bytes.h"
#include "layout/geometry.h"

namespace scalio::hardware {

// The version that all records have.
constexpr std::uint64_t kFillVersion = 1;

// Formats the SSDs of a store, and puts records 0 to `records` - 1, keys and values as ycsb has
// them, where they belong. `ssds` are in the order of the geometries' shards.
void fill_store(const std::vector<layout::SsdGeometry>& geometries,
                const std::vector<SparseBytes*>& ssds, std::uint64_t records,
                std::uint64_t key_size, std::uint64_t value_size);

}  // namespace scalio::hardware
