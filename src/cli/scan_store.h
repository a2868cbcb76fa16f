// Goes through the records of a store, with the progress shown: what commands that do so share.
#pragma once

#include <scalio/client.h>

#include <functional>
#include <string_view>
#include <vector>

#include "cli/progress_line.h"

namespace scalio::cli {

// The whole store, in parts that are small enough to show how far one is.
std::vector<ScanRange> parts_of(const Client& client);

// Scans these parts, several at once, and calls `take` with each page and what part it is of. The
// first failure, of `take` or of a read, ends it, and is returned. `title` is of the progress.
Status scan_store(Client& client, std::vector<ScanRange> parts, ProgressLine& progress,
                  std::string_view title,
                  const std::function<Task<Status>(ScanRange part, const ScanPage& page)>& take);

}  // namespace scalio::cli
