// Bytes in the middle of a file, as somebody who does not know the format reads and damages them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace scalio::testing {

// Both fail the test where the file cannot be read or written like that.
std::string read_at(const std::filesystem::path& path, std::uint64_t offset, std::size_t size);
void write_at(const std::filesystem::path& path, std::uint64_t offset, std::string_view bytes);

}  // namespace scalio::testing
