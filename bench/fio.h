// fio, the yardstick for disks: what the file gives to a program that does nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace scalio::bench {

struct FioJob {
  std::filesystem::path file;
  std::uint64_t offset = 0;  // the part of the file to use, bytes
  std::uint64_t size = 0;
  bool write = false;  // sequential writes, each durable before the next; else random reads, or
  bool once = false;   // all of it read once, in order
  std::uint64_t block = 512;
  unsigned depth = 1;
  double seconds = 1;
};

// Operations a second, with O_DIRECT through io_uring, as Scalio does it. Writes overwrite the
// file.
double fio(const FioJob& job);

}  // namespace scalio::bench
