// Reading a whole file.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <string>

namespace scalio {

// The bytes of the file at `path`: of a pipe or a device as well, until its end, for which it waits
// 30 s. At most `most` are taken. Failures, naming the path: not_found; invalid, for a directory, a
// file that has more, and a pipe that has nothing and that nobody writes to; io_error.
Result<std::string> read_file(const std::string& path, std::size_t most);

// The same, but only of a regular file: anything else is invalid, and not waited for.
Result<std::string> read_regular_file(const std::string& path, std::size_t most);

// The same, and invalid as well if others than its owner and group may use it: it has a secret.
Result<std::string> read_private_file(const std::string& path, std::size_t most);

}  // namespace scalio
