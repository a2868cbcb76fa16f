// Files that stand for SSDs.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>

namespace scalio::eval {

// Makes a file of zeros, written wholly: filesystems make the first write to each part of a file
// slow. Nothing happens if there is a file or device of this name. Failures: io_error, after which
// there is no file; invalid: there is none, and `bytes` is 0.
Status make_ssd_file(const std::string& path, std::uint64_t bytes);

}  // namespace scalio::eval
