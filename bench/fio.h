// fio, the yardstick for disks: what the file gives to a program that does nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace scalio::bench {

struct FioJob {
  enum class Pattern : std::uint8_t {
    random_reads,
    flushed_writes,  // sequential, each durable before the next
    random_pairs,    // as many random reads as random writes
    one_pass,        // all of it read once, in order
    reads_in_order,  // the same over and over
  };
  std::filesystem::path file;
  std::uint64_t offset = 0;  // the part of the file to use, bytes
  std::uint64_t size = 0;
  Pattern pattern = Pattern::random_reads;
  std::uint64_t block = 512;
  unsigned depth = 1;
  double seconds = 1;
};

// Operations, or pairs of them, a second, with O_DIRECT through io_uring, as Scalio does it. Writes
// overwrite the file.
double fio(const FioJob& job);

// Makes a file of zeros, all written, to write to.
void make_scratch_file(const std::filesystem::path& path, std::uint64_t bytes);

}  // namespace scalio::bench
