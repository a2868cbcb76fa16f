// The log of the programs that serve: lines on stderr.
#pragma once

#include <scalio/status.h>

#include <string>

namespace scalio::cli {

// Has spdlog write what is of `level` (a name of spdlog's, such as "info") or above to stderr, in
// colour on a terminal. Names and paths from outside are in it: what a terminal might obey is shown
// as \xNN. A line that finds no room is left out, and the next one says how many were.
void start_logging(const std::string& level);

}  // namespace scalio::cli
