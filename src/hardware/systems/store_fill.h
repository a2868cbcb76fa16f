// Writes stores full of records, each as its system's server would have left it.
#pragma once

#include <vector>

#include "baseline/leed/leed_recovery.h"
#include "baseline/paper/paper_format.h"
#include "hardware/sparse_bytes.h"
#include "hardware/systems/filled_records.h"
#include "layout/geometry.h"

namespace scalio::hardware {

// The key that such a store's shard has.
layout::LogKey model_log_key(std::uint32_t shard);

// Formats the SSDs, whose slices these are, all in their order, and puts the records there. All
// merged, none in the log.
void fill_scalio(const std::vector<layout::SsdGeometry>& slices,
                 const std::vector<SparseBytes*>& ssds, const FilledShape& shape);

// All SSDs have one geometry, and were never written. What an engine would find on each when it
// starts, so that it need not read a log that is nearly all of the SSD's zeros.
std::vector<leed::Recovered> fill_leed(const leed::LeedGeometry& geometry,
                                       const std::vector<SparseBytes*>& ssds,
                                       const FilledShape& shape);
// All SSDs have one geometry, and are formatted.
void fill_paper(const paper::PaperGeometry& geometry, const std::vector<SparseBytes*>& ssds,
                const FilledShape& shape);

}  // namespace scalio::hardware
