// Lines on stderr that do not wait for whoever reads it: a pipe that nobody empties, or a terminal
// that is held, must not keep a program from serving or from ending.
#pragma once

#include <chrono>
#include <string_view>

namespace scalio::cli {

// Writes `text`, in whole, if there is room for it within `patience`; false if it was left out.
// Thread-safe.
bool write_error(std::string_view text, std::chrono::milliseconds patience = {});

}  // namespace scalio::cli
