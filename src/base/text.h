// Text that came from outside, made fit for a terminal and a log.
#pragma once

#include <string>
#include <string_view>

namespace scalio {

// `text` with each byte that is not UTF-8, or of a character that a terminal obeys instead of
// showing it, as \xNN: control characters, line ends among them, those of the C1 set, of no width,
// and those that turn the direction of writing. What is left is one line of UTF-8.
std::string printable(std::string_view text);

// JSON in UTF-8, with such characters in its texts as \uNNNN; it means the same.
std::string escaped_json(std::string json);

}  // namespace scalio
