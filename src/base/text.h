// Text that came from outside, made fit for a terminal and a log.
#pragma once

#include <string>
#include <string_view>

namespace scalio {

// `text` with each byte that a terminal might obey, or that is not UTF-8, as \xNN: control
// characters, line ends among them, and those of the C1 set. What is left is one line of UTF-8.
std::string printable(std::string_view text);

}  // namespace scalio
