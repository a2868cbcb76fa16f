// What a failed system call says to people.
#pragma once

#include <string>

namespace scalio {

// The system's text for an errno, and what to do where that is known: "Too many open files; raise
// the limit (ulimit -n)".
std::string error_text(int error);

}  // namespace scalio
