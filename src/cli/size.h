// Numbers on the command line: sizes in bytes as people write them, and counts.
#pragma once

#include <scalio/status.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string_view>

namespace scalio::cli {

// "512", "64K", "64M", "1G", "2T", each also as "64KB" or "64KiB", in either case: multiples are
// always binary. Failures: invalid.
Result<std::uint64_t> parse_size(std::string_view text);

// Makes an integer option take sizes.
CLI::Option* as_size(CLI::Option* option);

// Makes an integer option take counts: decimal digits, and no more than fit.
CLI::Option* as_count(CLI::Option* option);

}  // namespace scalio::cli
