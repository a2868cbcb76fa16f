#include "support/file_bytes.h"

#include <gtest/gtest.h>

#include <fstream>

namespace scalio::testing {

std::string read_at(const std::filesystem::path& path, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  EXPECT_TRUE(file) << path;
  return bytes;
}

void write_at(const std::filesystem::path& path, std::uint64_t offset, std::string_view bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(file.flush()) << path;
}

}  // namespace scalio::testing
